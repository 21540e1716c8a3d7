"""A published table as a preset: `configs/experiment/<name>.yaml`, with the overrides that each row stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from winnow import configs
from winnow.harness.common.yaml_text import load as load_yaml
from winnow.reducers.core.errors import WinnowError, choose

Words = tuple[str, ...]


@dataclass(frozen=True)
class PaperRow:
    """One row of a table.

    Attributes
    ----------
    key : str
        What ``only=`` calls it.
    row : int or None
        Its number in the published file; None for a row that the paper does not print.
    at : dict
        Further columns of the published file that pick its cells, where one printed row holds several settings.
    set : tuple of str
        The overrides that make it; empty where it cannot be run.
    label : str
        What it is called where the paper's own words do not tell.
    published : str
        Why it cannot be run; its printed numbers are all that there is.
    scheduled : tuple of str or int
        What the paper's FLOPs assume instead: overrides, or a number of visual tokens in every layer.
    smoke : tuple of str
        Overrides for ``smoke=true`` alone.
    tasks : tuple of str
        The columns that are run; empty: all that the paper prints in this row.
    overhead : tuple of str
        Operators of the method itself whose FLOPs the row counts, instead of the LLM's.
    """

    key: str
    row: int | None = None
    at: Mapping[str, str] = field(default_factory=dict)
    set: Words = ()
    label: str = ""
    published: str = ""
    scheduled: Words | int = ()
    smoke: Words = ()
    tasks: Words = ()
    overhead: Words = ()

    @property
    def base(self) -> bool:
        """Whether nothing is reduced."""
        return "reducer=none" in self.set

    @property
    def fused(self) -> bool:
        """Whether attention is one operator; elsewhere the papers count it as three."""
        return "model.attn=flash_attention_2" in self.set


@dataclass(frozen=True)
class Preset:
    """A table.

    Attributes
    ----------
    name, title : str
    published : str or None
        Name of the file with the printed numbers; None for a finding that the paper gives no numbers of.
    tasks : dict
        Printed column -> task choice, or ``choice:metric`` for one of its other metrics.
    set, smoke : tuple of str
        Overrides of every row; those of ``smoke=true`` replace the model.
    rows : tuple of Row
    notes : tuple of str
        What a reader must know.
    pivot : str or None
        Column of the published file whose values stand side by side.
    machine : str
        The card that prefill times are modelled on.
    """

    name: str
    title: str
    published: str | None
    tasks: Mapping[str, str]
    set: Words
    smoke: Words
    rows: tuple[PaperRow, ...]
    notes: Words
    pivot: str | None = None
    machine: str = "a100_40g"

    def find(self, key: str) -> PaperRow:
        """The row of a key."""
        return next(row for row in self.rows if row.key == key)


def names() -> list[str]:
    """List the presets that are tables."""
    found = (path for path in (configs.FOLDER / "experiment").glob("*.yaml"))
    return sorted(path.stem for path in found if "\ntable:" in path.read_text(encoding="utf-8"))


def load(name: str) -> Preset:
    """Read a preset.

    Raises
    ------
    WinnowError
        If there is no such table; lists those that there are.
    """
    if name not in names():
        raise WinnowError(f"unknown table '{name}': {choose(name, names())}")
    text = (configs.FOLDER / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse(name, load_yaml(text)["table"])


def parse(name: str, node: Mapping[str, Any]) -> Preset:
    """Make a preset of the key ``table`` of a configuration: its `rows`, and those of its `grid`, see `_crossed`."""
    told = {**node.get("rows", {}), **_crossed(node.get("grid", {}))}
    rows = tuple(PaperRow(key, **{k: _frozen(v) for k, v in value.items()}) for key, value in told.items())
    words = {key: _frozen(node.get(key, [])) for key in ("set", "smoke", "notes")}
    published = node.get("published", name)
    more = {key: node[key] for key in ("pivot", "machine") if key in node}
    return Preset(name, node["title"], published or None, node.get("tasks", {}), rows=rows, **words, **more)


def _crossed(grid: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every method of each block at every of its budgets, whose numbers stand in for ``{name}`` in overrides."""
    return {
        f"{block}_{budget}_{method}": {
            "label": f"{block} {budget}: {method}",
            "set": [*node["set"], *(word.format(**numbers) for word in words)],
        }
        for block, node in grid.items()
        for budget, numbers in node["budgets"].items()
        for method, words in node["methods"].items()
    }


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
