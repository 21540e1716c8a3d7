"""When an attached model with M-RoPE is told that transformers numbers otherwise, without a model."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine import numbering
from winnow.models.engine.numbering import Numbering

IDS, KINDS, GRID = torch.tensor([[1, 2]]), torch.tensor([[0, 1]]), torch.tensor([[1, 2, 2]])
WHOLE = {"input_ids": IDS, "image_grid_thw": GRID, "mm_token_type_ids": KINDS, "attention_mask": torch.ones(1, 2)}


def looks(inputs: dict[str, Any], *, trained: int = 0, counted: int = 0, mrope: bool = True) -> tuple[bool, Any]:
    """Whether a warning comes, and what transformers was asked."""
    asked: list[Any] = []

    def index(ids: Tensor, **told: Any) -> tuple[Tensor, None]:
        asked.append(told)
        return torch.full((3, 1, 2), counted), None

    outer = SimpleNamespace(get_rope_index=index)
    family: Any = SimpleNamespace(mrope=mrope, name="some")
    own = Numbering(family, outer)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        patch.setattr(numbering, "position_ids", lambda family, outer, inputs: torch.full((3, 1, 2), trained))
        own.look(inputs)
        own.look(inputs)
    assert len(found) <= 1 and all("pass position_ids=winnow.trained_positions" in str(one.message) for one in found)
    return bool(found), asked


def test_whoever_numbers_otherwise_is_told_once() -> None:
    assert looks(WHOLE, counted=1)[0] and not looks(WHOLE)[0]


def test_pictures_that_are_taken_for_text_are_numbered_otherwise() -> None:
    told, asked = looks({"input_ids": IDS, "image_grid_thw": GRID})
    assert told and asked == []


@pytest.mark.parametrize("missing", ["input_ids", "image_grid_thw"])
def test_nothing_is_said_where_nothing_can_be(missing: str) -> None:
    assert not looks({**WHOLE, missing: None}, counted=1)[0]
    assert not looks({**WHOLE, "position_ids": torch.zeros(3, 1, 2)}, counted=1)[0]
    assert not looks(WHOLE, counted=1, mrope=False)[0]


def test_transformers_is_asked_with_all_that_it_counts_by() -> None:
    more = {"video_grid_thw": GRID, "second_per_grid_ts": [1.0]}
    _, asked = looks({**WHOLE, **more, "pixel_values": torch.zeros(1)})
    assert set(asked[0]) == {
        "image_grid_thw",
        "video_grid_thw",
        "mm_token_type_ids",
        "second_per_grid_ts",
        "attention_mask",
    }
    _, asked = looks({**WHOLE, "attention_mask": None})
    assert set(asked[0]) == {"image_grid_thw", "mm_token_type_ids"}
