"""A run in Weights & Biases: on their server, or offline below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import wandb

from winnow.harness.config.schema import TrackerConfig
from winnow.harness.results.tracking.record import Record

LIMITS: dict[str, Any] = {
    "init_timeout": 30.0, "login_timeout": 30.0,
    "x_graphql_retry_max": 2, "x_file_stream_retry_max": 2, "x_file_transfer_retry_max": 2,
}  # fmt: skip
"""Seconds and further tries after which a server that is down is left alone; its own take minutes, or never end."""


def send(record: Record, tracker: TrackerConfig) -> None:
    """Send a run under its own id, so that a second time brings the first up to date."""
    Path(tracker.place).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=tracker.project,
        dir=tracker.place,
        mode="online" if tracker.mode == "online" else "offline",
        id=record.run,
        name=record.name,
        resume="allow" if tracker.mode == "online" else None,
        config=record.config,
        settings=wandb.Settings(silent=True, console="off", disable_git=True, **LIMITS),
        reinit="create_new",
    )
    try:
        names = [*record.table[0]]
        shown = wandb.Table(columns=names, data=[[row[name] for name in names] for row in record.table])
        plots = {f"plot/{task}": wandb.Image(str(path)) for task, path in record.plots.items()}
        run.log(record.metrics | {"runs": shown} | plots)
        kept = wandb.Artifact(f"run-{record.run}", type="winnow-run")
        for path in record.files:
            kept.add_file(str(path))
        run.log_artifact(kept)
    finally:
        run.finish()
