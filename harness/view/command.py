"""What ``winnow view`` does."""

from __future__ import annotations

from pathlib import Path

from harness.plots.style import check
from harness.view.sample import find_run, load, trace_of


def view(run: str, sample: str, out: Path, results: Path, attention: bool) -> None:
    """Draw one sample of a run: its tokens, or the text's attention to its frames."""
    check(out)
    folder = find_run(results, run)
    if attention:
        from harness.view import attention as watched

        row = trace_of(folder, sample)
        values = watched.attention(folder, row["task"], row["doc_id"])
        return watched.draw(values, out, f"{row['task']}/{row['doc_id']}")
    from harness.view.tokens import draw

    return draw(load(folder, sample), out)
