"""Write `docs/support.md`: which method works on which family, from what the methods declare.

``python scripts/support_matrix.py`` rewrites the page.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from winnow import configs
from winnow.harness.bench.methods import DEPTH, choices, methods, probes, sites
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.support import impossible
from winnow.reducers.core.base import Reducer

PAGE = Path(__file__).parents[1] / "docs" / "support.md"
INTRODUCTION = """# Methods and models

Made by `scripts/support_matrix.py` from what the methods declare; a test keeps it current. Each method stands with its
default options. A pair that is impossible is refused before a model loads, with the reason below. Families of which
the same is true share a column.

"""

TILES = """On `llava_onevision` and `llava_next_video`, methods that act in the tower work on videos: the tiles of an
any-resolution image need the whole grid; so do those at the entrance that read it (with a probe such as `ClsRow()`
below). On `llava_next`, where all is tiles, of these only the methods work that are made for tiles (`globalcom2`,
`hired`), and those that act in the tower keep their number of each view of a picture, its tiles among them; what
stands in a tile's padding goes with it. Wherever a model pools, a
frame that keeps more vectors than it has pooled slots is refused: 196 on `llava_onevision`, 169 on `llava_video`, 144
on `llava_next_video`, `pllava` and `longva`. `ratio` is a share of these slots there, so that it means the same for
every method of a sweep.

On `gemma4_e` methods act in and read the layers that make keys of their own: 15 of E2B's 35, 24 of E4B's 42. The column
stands for 22 of 32, so that a schedule that just fits there may be refused on E2B.
"""


QUOTAS = """## Spans and quotas

A *span* is what has a grid of its own: a video, a picture, or what a picture is cut into. On `llava_onevision`,
`llava_next` and `llava_next_video` a picture has two, its base view and its tiles; on `internvl` one for each tile and
one for the thumbnail, on `smolvlm` and `perception_lm` one for each tile and one for the whole, on `molmo2` one for the
whole and one for all crops; on `llava` and `gemma3` pictures that follow each other are the frames of one video, and on
`perception_lm` the tiles of one picture, since their tokens cannot be told from such. Methods keep their share of
each span, with two exceptions:

- those with the option `scope` rank over all visual tokens of the prompt by `scope=prompt`, on every family alike, and
  give each span a quota of its own by `scope=span`. The default is what the method's code does (FastV, PDrop, AIM,
  DivPrune, DART at a layer: the prompt; DART at the embeddings, as in its engine: the span), for the controls random
  and oracle the prompt, as of FastV, for the even samples the span. Where a prompt has one span, both are the same;
- methods that act in the vision tower keep their share of each frame, picture or tile.
"""


COUNTS = """`model=<name>`, with the frames that a video gives by default and the tokens that methods may drop.
Separators are not among them: the CLS token of each of Video-LLaVA's frames, newlines, the text between the frames
of InternVL3 and SmolVLM2, the marks between Gemma 3's, those around Molmo 2's views and the newlines in them.
"""


def options(reducer: Reducer) -> str:
    """Options with a fixed set of values, the default in bold."""
    told = {
        name: " ".join(f"**{value}**" if value == getattr(reducer, name) else str(value) for value in values)
        for name, values in choices(reducer).items()
    }
    return "; ".join(f"{name}: {values}" for name, values in told.items()) or "–"


def columns(made: dict[str, Reducer]) -> dict[tuple[str, ...], list[str]]:
    """Families by their reasons, one for each method: those of which the same is true share a column."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name in FAMILIES:
        family = find_family(name)
        found.setdefault(tuple(impossible(family, reducer, DEPTH) for reducer in made.values()), []).append(name)
    return found


def models() -> list[str]:
    """The rows of the table of models."""
    rows = []
    for path in sorted((configs.FOLDER / "model").glob("*.yaml")):
        entry = yaml.safe_load(path.read_text())
        asked, nominal = entry["frames"], entry["nominal"]
        steps = nominal["frames"] if isinstance(nominal["frames"], int) else asked
        tokens = nominal["tokens_per_frame"]
        count = f"{asked} | {steps} x {tokens} = {steps * tokens}"
        rows.append(f"| `{entry['name']}` | `{entry['family']}` | {entry['repo']} | {count} |")
    return ["| model | family | weights | frames | visual tokens |", "| --- | --- | --- | --- | --- |", *rows]


def page() -> str:
    """The whole page."""
    made = methods()
    groups = columns(made)
    header = " | ".join("<br>".join(f"`{name}`" for name in names) for names in groups.values())
    lines = [f"| method | acts at | {header} |", "| --- " * (2 + len(groups)) + "|"]
    reasons: dict[str, str] = {}
    for (name, reducer), why in zip(made.items(), zip(*groups, strict=True), strict=True):
        cells = [reasons.setdefault(reason, f"({len(reasons) + 1})") if reason else "yes" for reason in why]
        lines.append(f"| `{name}` | {', '.join(sites(reducer)) or '–'} | {' | '.join(cells)} |")
    lines += ["", *(f"{mark} {reason}  " for reason, mark in reasons.items()), "", TILES, QUOTAS]
    lines += ["## Probes and options", "", "| method | probes | options, the default in bold |", "| --- | --- | --- |"]
    lines += [
        f"| `{name}` | {', '.join(f'`{probe}`' for probe in probes(reducer)) or '–'} | {options(reducer)} |"
        for name, reducer in made.items()
    ]
    lines += ["", "## Models", "", COUNTS, *models()]
    return INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
