"""The gate: rows below an unreduced run that is off the printed one cannot be compared with the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winnow.harness.config.preset import Preset
    from winnow.harness.results.paper.cell import Line


def check(preset: Preset, lines: Sequence[Line]) -> list[str]:
    """Say which unreduced figures are off the printed ones by more than their interval, and what may be behind it."""
    found = []
    for line in lines:
        if not line.row.base:
            continue
        for name, entry in line.entries.items():
            value, other = entry.ours, entry.printed.value if entry.printed else None
            if name not in preset.tasks or value is None or other is None or value.low is None or value.high is None:
                continue
            if not value.low <= other <= value.high:
                ours = f"{value.mean:.1f} [{value.low:.1f}, {value.high:.1f}]"
                found.append(
                    f"{line.label} on {name}: {ours} here, {other:g} printed. The rows below it are not "
                    f"comparable on {name}. Likely reasons: {_reasons(line)}."
                )
    return found


def _reasons(line: Line) -> str:
    limits = [run["limit"] for run in line.runs.values() if run.get("limit")]
    limit = [f"limit={limits[0]} documents"] if limits else []
    frames = next((word for word in line.row.set if word.startswith("model.frames=")), "the model's default")
    return "; ".join(
        [
            *limit,
            "the prompt (chat template, options, subtitles)",
            f"frames (here {frames}) and how they are sampled",
            "versions of lmms-eval, transformers and the data (see env.json of the run)",
        ]
    )
