"""What a method at the entrance reads of the vision tower stands at its token, and is pooled as the features are."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.check.cases import image_prompt, mixed_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.prompt import Prompt
from winnow.models.families.support import impossible
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Span
from winnow.reducers.core.reduction import View
from winnow.reducers.core.tower import ColumnMean, Tower, TowerKeys, TowerProbe, Uncut

READING = [name for name in FAMILIES if not find_family(name).no_tower and name != "llava_next"]  # always tiles


@dataclass(frozen=True)
class Reader(Chooser):
    """Keeps what the tower attends to most, and remembers what it saw."""

    seen = []  # noqa: RUF012

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        return ((ColumnMean(), tower.used - 1), (TowerKeys(), 0))

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        said = {probe: value for (probe, _), value in view.signals.items() if not isinstance(probe, Uncut)}
        self.seen.append({probe: value[view.visual] for probe, value in said.items()})
        return torch.arange(len(tokens))[: self.count(view.site, span.grid, len(tokens))]


@dataclass(frozen=True)
class TileReader(Reader):
    """Knows about tiles."""

    reads_tiles = True


def read(
    family: str, prompts: list[Prompt], method: Reader | None = None
) -> tuple[list[dict[TowerProbe, Tensor]], list[Tensor]]:
    """What the method saw of each prompt, and the attention that the tower's last used block returned."""
    loaded: Any = tiny_model(family, "eager")
    found: list[Tensor] = []
    Reader.seen.clear()
    method, parts = method or Reader(), loaded.family.parts(loaded.model)
    used = loaded.family.tower(loaded.model.config).used - 1
    with torch.no_grad(), attach(loaded.model, method):
        handles = [
            blocks[used].self_attn.register_forward_hook(lambda module, args, output: found.append(output[1]))
            for _, blocks in parts.towers
        ]
        loaded.model(**loaded.family.encode(loaded.processor, prompts))
    for handle in handles:
        handle.remove()
    return list(Reader.seen), found


@pytest.mark.parametrize("family", READING)
def test_each_token_has_what_its_patches_received(family: str) -> None:
    loaded: Any = tiny_model(family, "eager")
    (seen,), weights = read(family, [video_prompt()])
    tower = loaded.family.tower(loaded.model.config)
    expected = weights[-1][:, :, int(tower.cls) :].mean((1, 2))[:, int(tower.cls) :]
    if (slots := loaded.family.pooled_slots(loaded.model.config)) is not None:
        side = int(slots**0.5)
        grid = expected.view(-1, 1, tower.rows, tower.cols)
        mode = torch.nn.functional.interpolate(grid, (side, side), mode="bilinear")
        halves = torch.nn.functional.avg_pool2d(grid, tower.rows // side)
        pooled = [x.flatten(1) for x in (mode, halves) if x[0].numel() == slots]
        assert any(torch.allclose(seen[ColumnMean()], x.flatten(), atol=1e-6) for x in pooled)
    else:
        assert torch.allclose(seen[ColumnMean()], expected.flatten(), atol=1e-6)
    width = loaded.family.parts(loaded.model).blocks[0].self_attn.k_proj.out_features
    assert seen[TowerKeys()].shape[1:].numel() == width


def test_prompts_of_a_batch_read_their_own() -> None:
    together, _ = read("llava", [video_prompt(), text_prompt(), image_prompt()])
    alone = [read("llava", [prompt])[0][0] for prompt in (video_prompt(), image_prompt())]
    for ours, theirs in zip(together, alone, strict=True):
        assert torch.allclose(ours[ColumnMean()], theirs[ColumnMean()], atol=1e-6)


def test_beams_and_turns_read_it_too() -> None:
    loaded: Any = tiny_model("llava_onevision", "sdpa")
    Reader.seen.clear()
    inputs = loaded.family.encode(loaded.processor, [video_prompt()])
    with torch.no_grad(), attach(loaded.model, Reader()) as trace:
        loaded.model.generate(**inputs, num_beams=2, max_new_tokens=2, pad_token_id=0)
    assert len(Reader.seen) == 1 and trace.prompts[0].visual_per_layer == trace.prompts[1].visual_per_layer == [9] * 6


def test_tokens_of_tiles_have_what_their_patches_received() -> None:
    loaded: Any = tiny_model("llava_next", "eager")
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    (layout,) = loaded.family.layouts(loaded.model.model, list(inputs["input_ids"]), inputs)
    (seen, _), weights = read("llava_next", [image_prompt()], TileReader())  # asked for each span
    expected = weights[-1][:, :, 1:].mean((1, 2))[:, 1:]
    base, tiles = layout.spans
    row = torch.zeros(len(tiles))
    for cells, told in zip(tiles.cells, expected[1:], strict=True):
        row[cells[cells >= 0]] = told[cells >= 0]
    assert len(tiles) < tiles.cells.numel()  # some of it is padding
    assert torch.allclose(seen[ColumnMean()], torch.cat([expected[0], row]), atol=1e-6)
    assert len(base) == len(expected[0])


@pytest.mark.parametrize("family", ["llava_next", "llava_onevision", "llava_next_video"])
def test_tiles_are_refused(family: str) -> None:
    with pytest.raises(UnsupportedError, match="tiles of an any-resolution image"):
        read(family, [image_prompt()])


def test_pictures_beside_videos_go_through_it_apart() -> None:
    with pytest.raises(UnsupportedError, match="pictures beside videos, go apart: use videos alone"):
        read("llava_onevision", [mixed_prompt()])
    (seen, *_), _ = read("video_llava", [mixed_prompt()])  # each kind has a tower of its own
    assert len(seen[ColumnMean()]) == 4 * 25


def test_families_whose_tower_cannot_be_read_say_so() -> None:
    why = impossible(find_family("qwen2_vl"), Reader(), 6)
    assert why == "reads the vision tower, whose statistics methods cannot have here"
