"""Where the tokens go: visual tokens that each layer of the LLM processes, as traced and as scheduled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.harness.common.errors import leave_out
from winnow.harness.common.run_files import TRACES, read_table
from winnow.harness.results.plots.sample import NO_TRACES
from winnow.harness.results.plots.style import Width, figure, legend, look
from winnow.harness.results.plots.tradeoff import curve, only
from winnow.harness.run.result import Result
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.harness.config.cell import Cell

LAYERS, LIMITS = "layer of the LLM", (-4, 104)


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
        If the runs are of several models and none is named, or the traces of none can be read.
    """
    import numpy as np

    chosen = [*_readable(_of(results, model), folder)]
    with figure(out, width) as axes:
        for number, (result, shares) in enumerate(chosen):
            layers, colour = np.arange(shares.shape[1]), look(number)["color"]
            _steps(axes, number, shares.mean(0), f"{curve(result)} {result['asked']}".strip())
            axes.fill_between(layers, shares.min(0), shares.max(0), step="mid", color=colour, alpha=0.15, lw=0)
        axes.set(xlabel=LAYERS, ylabel="visual tokens (%)", ylim=LIMITS, title=chosen[0][0]["model"])
        legend(axes)


def _readable(results: Sequence[Result], folder: Path) -> Iterator[tuple[Result, Any]]:
    """Each run with its shares in percent; one of many whose traces cannot be read is named and left out."""
    left = len(results)
    for result in results:
        try:
            yield result, 100 * _shares(folder / result["id"] / TRACES)
        except WinnowError as error:
            left -= 1
            if not left:
                raise
            leave_out(error)


def _of(results: Sequence[Result], model: str | None) -> list[Result]:
    done = [result for result in results if result["status"] == "complete" and result["shares"]]
    model = only(model, {result["model"] for result in done}, "model")
    return [result for result in done if result["model"] == model]


def _shares(path: Path) -> Any:
    import numpy as np

    rows = read_table(path, ["visual", "visual_per_layer"]) if path.exists() else [{}]
    if not all("visual_per_layer" in row for row in rows):
        raise WinnowError(NO_TRACES.format(path.parent.name))
    found = [np.array(row["visual_per_layer"]) / row["visual"] for row in rows if row["visual"]]
    if not found:
        raise WinnowError(f"run {path.parent.name} saw no picture: choose another run")
    return np.stack(found)


def _steps(axes: Any, number: int, shares: Sequence[float], name: str, line: str = "-") -> None:
    """Draw one curve, with about seven markers, on other layers than its neighbour's."""
    every = max(2, len(shares) // 7)
    marks = (number % every, every)
    axes.plot(range(len(shares)), shares, line, drawstyle="steps-mid", label=name, markevery=marks, **look(number))


def draw_schedules(cells: Sequence[Cell], out: Path, model: str | None = None, width: Width = "column") -> None:
    """Draw what methods are planned to keep in each layer, on the nominal prompt, without running anything.

    Parameters
    ----------
    cells : sequence of Cell
        Their tasks mean nothing here. The plan of a method that looks at the content is an estimate, dashed.
    out : Path
    model : str or None
    width : {"column", "page"}

    Raises
    ------
    WinnowError
        If they are of several models and none is named.
    """
    from winnow.harness.plan.build import build_method
    from winnow.harness.plan.nominal import nominal

    model = only(model, {cell.model.name for cell in cells}, "model")
    plans = {}
    for cell in [cell for cell in cells if cell.model.name == model]:
        prompt, built = nominal(cell.seen), build_method(cell)
        shares = tuple(100 * count / prompt.visual for count in prompt.plan(built.reducer))
        plans[_name(cell), str(built.knobs.get("schedule") or ""), shares] = built.reducer.adaptive
    names = Counter(name for name, _, _ in plans)
    with figure(out, width) as axes:
        for number, ((name, schedule, shares), adaptive) in enumerate(plans.items()):
            full = f"{name} ({schedule})" if names[name] > 1 and schedule else name
            _steps(axes, number, shares, f"{full}, estimate" if adaptive else full, "--" if adaptive else "-")
        axes.set(xlabel=LAYERS, ylabel="visual tokens, planned (%)", ylim=LIMITS, title=model)
        legend(axes)


def _name(cell: Cell) -> str:
    from winnow.harness.config.label import label

    return f"{label(cell)} {cell.asked}".strip()
