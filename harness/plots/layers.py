"""Where the tokens go: visual tokens that each layer of the LLM processes, as traced and as scheduled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.plots.style import Width, check, figure, look
from harness.plots.tradeoff import _only, curve
from reducers.errors import WinnowError

Result = dict[str, Any]


def draw_layers(
    results: Sequence[Result], folder: Path, out: Path, model: str | None = None, width: Width = "column"
) -> None:
    """Draw the share of visual tokens in each layer: mean over documents, the band from the least to the most.

    Parameters
    ----------
    results : sequence of dict
        Finished runs of one model.
    folder : Path
        Where they lie.
    out : Path
    model : str or None
    width : {"column", "page"}

    Raises
    ------
    WinnowError
        If the runs are of several models and none is named.
    """
    import numpy as np

    check(out)
    chosen = _of(results, model)
    with figure(out, width) as axes:
        for number, result in enumerate(chosen):
            shares = 100 * _shares(folder / result["id"] / "traces.parquet")
            style = look(number) | {"label": f"{curve(result)} {result['asked']}".strip()}
            layers = np.arange(shares.shape[1])
            axes.plot(layers, shares.mean(0), drawstyle="steps-mid", **style)
            axes.fill_between(layers, shares.min(0), shares.max(0), step="mid", color=style["color"], alpha=0.15, lw=0)
        axes.set(xlabel="layer of the LLM", ylabel="visual tokens (%)", ylim=(-2, 102), title=chosen[0]["model"])
        axes.legend()


def _of(results: Sequence[Result], model: str | None) -> list[Result]:
    done = [result for result in results if result["status"] == "complete" and result["shares"]]
    model = _only(model, {result["model"] for result in done}, "model")
    return [result for result in done if result["model"] == model]


def _shares(path: Path) -> Any:
    import numpy as np
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["visual", "visual_per_layer"]).to_pylist()
    found = [np.array(row["visual_per_layer"]) / row["visual"] for row in rows if row["visual"]]
    if not found:
        raise WinnowError(f"run {path.parent.name} saw no picture: choose another run")
    return np.stack(found)


def draw_schedules(overrides: Sequence[Sequence[str]], out: Path, width: Width = "column") -> None:
    """Draw what methods are planned to keep in each layer, on the nominal prompt, without running anything.

    Parameters
    ----------
    overrides : sequence of sequence of str
        Each as `run.py` takes it; all of one model.
    out : Path
    width : {"column", "page"}
    """
    from harness.config.method import build_method
    from harness.config.nominal import nominal
    from harness.config.words import cell_from
    from harness.tables.label import label

    check(out)
    with figure(out, width) as axes:
        for number, words in enumerate(overrides):
            cell = cell_from(words)
            prompt = nominal(cell.seen)
            plan = prompt.plan(build_method(cell).reducer)
            shares = [100 * count / prompt.visual for count in plan]
            axes.plot(
                range(len(plan)), shares, drawstyle="steps-mid", label=f"{label(cell)} {cell.asked}", **look(number)
            )
            axes.set(
                xlabel="layer of the LLM", ylabel="visual tokens, planned (%)", ylim=(-2, 102), title=cell.model.name
            )
        axes.legend()
