"""A run in MLflow: in a folder, or on a server."""

from __future__ import annotations

import os
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.time import get_current_time_millis

from winnow.harness.config.schema import TrackerConfig
from winnow.harness.results.tracking.record import Record

ID = "winnow.run"
SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # it would rather have a database
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 and 120 s hold a run for minutes where a server is down
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Of MLflow's environment, where its user sets nothing else."""
MOST, LONGEST = 100, 500
"""Parameters of one call, and the characters of one, that every server takes."""


def send(record: Record, tracker: TrackerConfig) -> None:
    """Send a run; one of its id is brought up to date, but for its settings, which name it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    client = MlflowClient(tracker.place if "://" in tracker.place else Path(tracker.place).absolute().as_uri())
    experiment = client.get_experiment_by_name(tracker.project)
    place = experiment.experiment_id if experiment else client.create_experiment(tracker.project)
    found = client.search_runs([place], f"tags.`{ID}` = '{record.run}'")
    run = (found[0] if found else client.create_run(place, tags={ID: record.run}, run_name=record.name)).info.run_id
    params = [] if found else [Param(name, str(value)[:LONGEST]) for name, value in record.config.items()]
    for start in range(0, len(params), MOST):
        client.log_batch(run, params=params[start : start + MOST])
    now = get_current_time_millis()
    client.log_batch(run, metrics=[Metric(_name(name), value, now, 0) for name, value in record.metrics.items()])
    columns = {name: [row[name] for row in record.table] for name in record.table[0]}
    client.log_dict(run, columns, "runs.json")
    for path in record.files:
        client.log_artifact(run, str(path))
    for path in record.plots.values():
        client.log_artifact(run, str(path), "plots")
    client.set_terminated(run)


def _name(name: str) -> str:
    """The name of a figure, of letters that MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in name)
