"""Gives a finished run to the tracker that was chosen; what a tracker cannot take is no loss of the run."""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

from winnow.harness.common.errors import first_line
from winnow.harness.config.schema import TrackerConfig
from winnow.harness.results.tracking.record import record_of

TRACKERS = {"wandb": "winnow.harness.results.tracking.to_wandb", "mlflow": "winnow.harness.results.tracking.to_mlflow"}


def track(tracker: TrackerConfig, folder: Path) -> bool:
    """Send a finished run; one that is there already is brought up to date.

    Parameters
    ----------
    tracker : TrackerConfig
    folder : Path
        Of the run.

    Returns
    -------
    bool
        Whether it was taken; a line says why not. Nothing is sent, and nothing imported, unless a tracker is chosen.
    """
    if tracker.name not in TRACKERS:
        return False
    try:
        with tempfile.TemporaryDirectory() as place:
            import_module(TRACKERS[tracker.name]).send(record_of(folder, Path(place)), tracker)
    except Exception as error:  # whatever a server, a network or their client raises
        print(f"run {folder.name} is stored, but {tracker.name} did not take it: {first_line(error)}", file=sys.stderr)
        return False
    print(f"run {folder.name} is in {tracker.name}, project {tracker.project}", file=sys.stderr)
    return True
