"""Every method of another author's takes ``variant=official``, whether it mends anything or not."""

from dataclasses import fields

import pytest

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS, find, named
from winnow.reducers.core.released import Released

CONTROLS = {
    "average",
    "blind",
    "compose",
    "frame_pairs",
    "grid",
    "none",
    "oracle",
    "random",
    "sequential",
    "tome",
    "uniform",
}
"""Winnow's own, without released code; ToMe is an adaptation."""
UNRELEASED = {"aim_temporal", "vas"}
"""Of papers whose code for it was not released."""
WEIGHTS = {"cdpruner": {"text_tower": "random"}, "fastvid": {"pooling_head": "random"}}
KINDS = {name: find(f"winnow.reducers.{name}:{kind}") for name, kind in METHODS.items()}
TAKING = sorted(METHODS.keys() - CONTROLS - UNRELEASED)


@pytest.mark.parametrize("name", TAKING)
def test_it_runs_as_released(name: str) -> None:
    official = named(name, {"variant": "official"} | WEIGHTS.get(name, {}))
    if issubclass(KINDS[name], Released):
        assert official == named(name, {})
        with pytest.raises(WinnowError, match="variant=mended is not allowed: choose official"):
            named(name, {"variant": "mended"})
    elif name != "prumerge":  # whose default it is, beside the paper's
        assert official != named(name, {})


def test_no_other_has_the_word() -> None:
    """So that a method that is added comes to be decided upon."""
    having = {name for name, kind in KINDS.items() if "variant" in {field.name for field in fields(kind)}}
    assert having == {*TAKING}


def test_the_word_moves_what_the_released_code_does_otherwise() -> None:
    assert named("vidcom2", {"variant": "official"}).knobs(28)["counts"] == "official"
    assert named("vidcom2", {"variant": "official", "counts": "exact"}).knobs(28)["counts"] == "exact"
    assert named("vidcom2", {}).knobs(28)["counts"] == "exact"
    assert named("framefusion", {"variant": "official"}).knobs(28)["layers"] == 28
    assert named("framefusion", {"variant": "official", "layers": 4}).knobs(28)["layers"] == 4
    assert named("trim", {"variant": "official"}).knobs(28)["counts"] == "batch"
    assert named("trim", {"variant": "official"}).together and not named("trim", {}).together
    assert named("vcc", {"variant": "official"}).knobs(28)["remainder"] == "drop"
    for name in ("evit", "tome_tower", "aim_merge", "aim"):
        assert named(name, {"variant": "official"}).knobs(28)["order"] == "official"
        assert named(name, {}).knobs(28)["order"] == "raster"
        assert named(name, {"variant": "official", "order": "raster"}).knobs(28)["order"] == "raster"
    for name in ("aim_merge", "aim"):
        images = [named(name, {"variant": "official", "metric": metric}).images for metric in ("embeddings", "keys")]
        assert images == [False, True] and named(name, {}).images
