"""What every method is unless it is told otherwise: its YAML, its share, its layers, and what it says of itself."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.registry import METHODS, find
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Schedule, Window

CONFIGS = Path(__file__).parents[2] / "configs" / "reducer"
NAMES = [name for name in METHODS if name != "compose"]  # which has no defaults

RATIOS = {
    0.5: "aim_temporal average dtd fastv fitprune illava oracle pixelprune prunevid random sequential tome uniform vcc",
    0.3: "dycoke framefusion pact",
    0.25: "aim aim_merge ats cdpruner dart evs fastvid flashvid globalcom2 grid hiprune holitom scissor scope "
    "tome_tower vcast vidcom2 visionzip vispruner",
    0.2: "hired mmtok",
    0.125: "pdrop",
    1 / 3: "sparsevlm",
    0.098: "divprune",  # 56 of 576
    114 / 576: "ficoco_v",
    64 / 576: "holov",
    96 / 576: "vscan",
    None: "aim_prune blind cgsm evit frame_pairs none prumerge trim v2drop vas vtw",
}
"""Of the methods that take one; the share of the paper's main table, or a half where it has none."""

SCHEDULES: dict[str, Schedule] = {
    "aim": Window(14, 22, of=28),
    "aim_prune": Window(14, 22, of=28),
    "dart": K(2),
    "dycoke": K(3, of=28),
    "fastv": K(2),
    "flashvid": K(20, of=28),
    "frame_pairs": K(2),
    "holitom": K(18, of=28),
    "illava": K(8, of=28),
    "pact": K(4, of=28),
    "pdrop": Cuts((8, 16, 24), of=32),
    "prunevid": K(11, of=32),
    "sparsevlm": Cuts((3, 7, 16), of=32),
    "tome": First(24),
    "v2drop": Cuts((3, 17, 22), of=32),
    "vas": Rounds(6, -4, 3),
    "vcc": K(2),
    "vscan": K(16, of=32),
    "vtw": K(15),
}
"""Of the methods that act inside the LLM; the others with a schedule act at its entrance."""

SAID = {
    "adaptive": "ats dtd fastvid flashvid framefusion globalcom2 hired holitom pact pixelprune prumerge prunevid "
    "scissor trim vas",
    "by_frame": "aim_merge average cdpruner grid holov vcc",
    "reads_tiles": "globalcom2 hired",
    "seeded": "oracle random",
    "needs_relevance": "oracle",
    "together": "",
}
"""Who says what of itself, without options."""

OWN = {
    "a b": "grid",
    "attended": "prumerge",
    "counts": "sparsevlm",
    "k": "dycoke",
    "keep": "v2drop",
    "n": "ats",
    "q": "evs vidcom2",
    "R": "dart fastv",
    "r": "aim aim_merge cgsm ficoco_v illava tome tome_tower",
    "rate": "evit",
    "ratios": "pdrop",
    "stride": "vcc",
}
"""Fields in the terms of the papers."""
BESIDE = {"text_tower": "cdpruner trim", "pooling_head": "fastvid"}
"""Fields that name weights beside the model."""

PROMPT = [
    "aim",
    "aim_prune",
    "divprune",
    "fastv",
    "fitprune",
    "oracle",
    "pact",
    "pdrop",
    "random",
    "sparsevlm",
    "v2drop",
]
"""Who shares a quota among the spans of a prompt."""


def method(name: str) -> Reducer:
    made: Reducer = find(f"winnow.reducers.{name}:{METHODS[name]}")()
    return made


def by_name(table: dict[Any, str]) -> dict[str, Any]:
    return {name: value for value, names in table.items() for name in names.split()}


@pytest.mark.parametrize("name", NAMES)
def test_its_yaml_lists_every_field_with_its_default(name: str) -> None:
    entry = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    kind = find(entry["_target_"])
    assert kind is type(method(name))
    known = {field.name: field.default for field in fields(kind)}
    for said_for_all in ("schedule", "ratio"):
        known.pop(said_for_all, None)
    own = {key: value for key, value in entry.items() if not key.startswith("_") and key != "defaults"}
    own.pop("like", None)  # names a run, and with it another class
    assert {key: tuple(v) if isinstance(v, list) else v for key, v in own.items()} == known


@pytest.mark.parametrize("name", NAMES)
def test_its_ratio_and_its_layers(name: str) -> None:
    known = {field.name: field.default for field in fields(method(name))}
    assert known.get("ratio") == by_name(RATIOS)[name] and known.get("schedule") == SCHEDULES.get(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says_of_itself(name: str) -> None:
    own = method(name)
    assert {word for word in SAID if getattr(own, word)} == {word for word in SAID if name in SAID[word].split()}
    assert own.native == tuple(by_name(OWN).get(name, "").split())
    assert own.checkpoints == tuple(by_name(BESIDE).get(name, "").split())
    assert own.name == name and own.scope == ("prompt" if name in PROMPT else "span")
