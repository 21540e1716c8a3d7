"""What became of each visual token survives its packing, and takes few bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.harness.run.fate import pack, unpack

TOKENS, FRAMES = 6272, 32
SOME = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@SOME
@given(st.data(), st.integers(0, 70))
def test_any_fate_survives(data: st.DataObject, size: int) -> None:
    numbers = st.lists(st.integers(-1, 2**31 - 1), min_size=size, max_size=size)
    last, anchor = data.draw(numbers), data.draw(numbers | st.just(list(range(size))))
    found = unpack(pack(last, anchor))
    assert [each.tolist() for each in found] == [last, anchor]


@SOME
@given(st.binary(min_size=1, max_size=60))
def test_what_was_not_packed_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not the tokens|buffer|reshape|one last layer"):
        unpack(content)
    with pytest.raises(ValueError, match="one last layer and one anchor"):
        pack([1, 2], [0])


def cut(ratio: float, stages: int, random: np.random.Generator) -> bytes:
    """Tokens that leave at random, in some stages."""
    last = np.full(TOKENS, 27)
    gone = random.permutation(TOKENS)[round(ratio * TOKENS) :]
    for stage, part in enumerate(np.array_split(gone, stages)):
        last[part] = 2 + 4 * stage
    return pack(last, np.arange(TOKENS))


def merged(ratio: float, frames: int, random: np.random.Generator) -> bytes:
    """Tokens merged at random into others of their frame, or of any."""
    last, anchor = np.full(TOKENS, 27), np.arange(TOKENS)
    for frame in np.split(np.arange(TOKENS), frames):
        order = random.permutation(frame)
        kept, gone = np.split(order, [round(ratio * len(frame))])
        last[gone], anchor[gone] = 2, random.choice(kept, len(gone))
    return pack(last, anchor)


@pytest.mark.parametrize("ratio", [0.05, 0.164, 0.25, 0.33, 0.5, 0.9])
def test_bytes_of_a_long_prompt(ratio: float) -> None:
    """Random choices are the worst that can happen: nothing of them compresses."""
    random = np.random.default_rng(0)
    assert len(cut(ratio, 1, random)) < 1000 and len(cut(ratio, 3, random)) < 2000
    assert len(merged(ratio, FRAMES, random)) < 7000 and len(merged(ratio, 1, random)) < 9250
