"""What ``winnow view`` does."""

from __future__ import annotations

from pathlib import Path

from winnow.harness.common.find_run import find_run
from winnow.harness.results.plots.sample import load, trace_of
from winnow.harness.results.plots.style import check


def view(run: str, sample: str, out: Path, results: Path, attention: bool, trust: bool) -> None:
    """Draw one sample of a run: its tokens, or the text's attention to its frames."""
    check(out)
    folder = find_run(run, results)
    if attention:
        from winnow.harness.results.plots import attention as watched

        row = trace_of(folder, sample)
        values = watched.attention(folder, row["task"], row["doc_id"], trust)
        return watched.draw(values, out, f"{row['task']}/{row['doc_id']}")
    from winnow.harness.results.plots.tokens import draw

    return draw(load(folder, sample, trust), out)
