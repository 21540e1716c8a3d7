"""`winnow export --full`: all that is known of some runs in one zip, for a reviewer who computes none of it."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.console import as_csv
from winnow.harness.common.errors import leave_out
from winnow.harness.common.finished import damage
from winnow.harness.common.run_files import CONFIG, ENV, RESULT, SCORES, TRACES, samples_path
from winnow.harness.common.yaml_text import dump as dump_yaml
from winnow.harness.config.cell import Cell
from winnow.harness.config.stored import cell_in, stored_config
from winnow.harness.config.words import words_of
from winnow.harness.results.exchange.bundled import imported
from winnow.harness.results.tables import tidy
from winnow.harness.results.tables.runs import text
from winnow.harness.run.environment import versions
from winnow.harness.run.result import Result
from winnow.reducers.core.errors import WinnowError

FORMAT, LISTING, RUNS = 1, "bundle.json", "runs"
PRIVATE = ("host", "log")
"""What of a run's environment names the machine of whoever ran it."""
STORED = {".parquet"}
"""Files that are packed already."""
ABOUT = """Winnow runs, whole: what was asked, answered and counted, with which versions, where.

tables/       the table of the runs: numbers (CSV), and as Markdown, HTML, LaTeX
commands.sh   the command of each run
versions.txt  of the packages where this was written; runs/*/env.json holds those of each run
runs/ID/      config.yaml, env.json, result.json, samples_*.jsonl (answers), scores.parquet, traces.parquet (tokens)
bundle.json   the SHA-256 of each file of the runs

    pip install winnow_vlm-VERSION-py3-none-any.whl     # the wheel that `make wheel` builds, or the repository
    winnow import {name}
    winnow tables
    winnow view imported-ID --sample TASK/NUMBER
    winnow rerun imported-ID --limit 20     # repeats part of a run here, and says sample by sample what differs
"""


def write(found: Sequence[Result], folder: Path, out: Path) -> int:
    """Write finished runs to one zip; one whose files are damaged is named and left out.

    Parameters
    ----------
    found : sequence of Result
    folder : Path
        Where they lie.
    out : Path

    Returns
    -------
    int
        How many runs.

    Raises
    ------
    WinnowError
        If the files of all runs are damaged.
    """
    whole = [result for result in found if _whole(result["id"], folder)]
    if not whole:
        raise WinnowError(f"there are no runs in {folder} whose files are undamaged: run their commands again")
    files.write(out, lambda draft: _fill(draft, whole, folder, out.name))
    return len(whole)


def _whole(run: str, folder: Path) -> bool:
    bad = damage(folder / run)
    if bad:
        leave_out(WinnowError(f"run {run}: {bad[0]} is damaged: run its command again"))
    return not bad


def _fill(draft: Path, found: Sequence[Result], folder: Path, name: str) -> None:
    listing: dict[str, dict[str, str]] = {}
    cells: dict[str, Cell] = {}
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("README.txt", ABOUT.format(name=name))
        packed.writestr("versions.txt", "".join(_versions()))
        for path, words in _tables(found, folder):
            packed.writestr(path, words + "\n")
        for result in found:
            digests = listing[result["id"]] = {}
            here = folder / result["id"]
            config = stored_config(here) if (here / CONFIG).exists() else None
            with suppress(WinnowError):  # of an older version
                cells |= {result["id"]: replace(cell_in(config, here, trust=True), results=folder)} if config else {}
            for path, data in _run(result, here, config):
                digests[path] = sha256(data).hexdigest()
                kind = zipfile.ZIP_STORED if Path(path).suffix in STORED else zipfile.ZIP_DEFLATED
                packed.writestr(f"{RUNS}/{result['id']}/{path}", data, kind)
        packed.writestr("commands.sh", "\n".join(_commands(found, cells)) + "\n")
        packed.writestr(LISTING, json.dumps({"format": FORMAT, "runs": listing}, indent=1))


def _versions() -> Iterator[str]:
    yield from (f"{name}=={version}\n" for name, version in versions().items() if version)


def _run(result: Result, here: Path, config: dict[str, Any] | None) -> Iterator[tuple[str, bytes]]:
    """The files of a run; all of them but the claims, and without what names a machine."""
    if config is not None:
        yield CONFIG, _anonymous(config)
    names = [ENV, RESULT, SCORES, TRACES, *(samples_path(here, task["task"]).name for task in result["tasks"])]
    for path in (here / name for name in names):
        if path.exists():
            yield path.name, _nowhere(path) if path.name == ENV else path.read_bytes()


def _nowhere(path: Path) -> bytes:
    known: dict[str, Any] = files.read_json(path)
    return json.dumps({key: value for key, value in known.items() if key not in PRIVATE}, indent=1).encode()


def _anonymous(config: dict[str, Any]) -> bytes:
    cell = {key: value for key, value in config["cell"].items() if key != "tracker"} | {"results": "results/runs"}
    return dump_yaml(config | {"cell": cell}).encode()


def _tables(found: Sequence[Result], folder: Path) -> Iterator[tuple[str, str]]:
    yield "tables/runs.csv", as_csv(tidy.tidy(found, folder), tidy.COLUMNS)
    yield "tables/runs.md", text(found, folder, "md")
    yield "tables/runs.html", text(found, folder, "html")
    yield "tables/runs.tex", text(found, folder, "latex")


def _commands(found: Sequence[Result], cells: Mapping[str, Cell]) -> Iterator[str]:
    """A line for each run: the words that make its cell, or how it is repeated where there are none."""
    said = dict(zip(cells, words_of([*cells.values()]), strict=True))
    names = {result["id"] for result in found}
    for result in found:
        name, words = result["id"], said.get(result["id"], [])
        yield f"# {name}: {result['model']} {result['label']} {result['asked']}".strip()
        yield shlex.join(["winnow", "eval", *words]) if words else f"winnow rerun {imported(name, names)}"
