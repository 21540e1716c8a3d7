"""Whatever lies in a file that Winnow reads, the answer is a value or one line, and never a wrong row."""

import io
import json
import os
import zlib
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.common.finished import amend, damage, finished
from winnow.harness.config.messages import one_line
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.stored import stored_cell
from winnow.harness.config.trust import strangers
from winnow.harness.results.exchange import bundled
from winnow.harness.run import claim, journal
from winnow.harness.run.fate import unpack
from winnow.harness.run.record import Row
from winnow.harness.run.result import results_below
from winnow.harness.score.judged import read as read_verdict
from winnow.harness.sweep import manifest
from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.letters import LETTERS, read_letter
from winnow.harness.tasks.readers import exact, yes_or_no
from winnow.reducers.core.errors import WinnowError

pytestmark = pytest.mark.faults
EXAMPLES = int(os.environ.get("WINNOW_FUZZ", "2000"))
MANY = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.builds(
    Row, st.text(max_size=9), st.integers(0, 10**9), st.text(max_size=9), st.text(max_size=40),
    fate=st.binary(max_size=30),
)  # fmt: skip


def keyed(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings that have some of the keys that a reader looks for."""
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=5), VALUES, max_size=len(names))


@MANY
@given(st.lists(ROWS, min_size=1, max_size=6), st.data())
def test_journal(rows: list[Row], data: st.DataObject) -> None:
    """After any damage a row is what was written, or it is not there."""
    with TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        segment = journal.Journal(Path(folder))
        segment.append(rows)
        held = bytearray(segment.path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.integers(0, len(held) - 1))
            cut = data.draw(st.integers(0, 3))
            held[place : place + cut] = data.draw(st.binary(max_size=3))
            held = held or bytearray(b"x")
        segment.path.write_bytes(held)
        assert all(row in rows for row in journal.whole(journal.read(Path(folder)).values()))


@MANY
@given(st.binary(max_size=300))
def test_journal_of_anything(content: bytes) -> None:
    with TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        (Path(folder) / "00001-x.jsonl").write_bytes(content)
        assert journal.read(Path(folder)) == {}


@MANY
@given(keyed("format", "results", "groups", "stored", "basis"))
def test_manifest(plain: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_text(json.dumps(plain | {"format": manifest.FORMAT}))
        with suppress(WinnowError):
            assert manifest.load(path).path == path


@MANY
@given(st.text(max_size=20), keyed("tasks", "status", "knobs", "settings", "context", "model", "label") | VALUES)
def test_bundle(run: str, plain: Any) -> None:
    with suppress(WinnowError, ValueError):
        result = bundled.result_of(run, json.dumps(plain))
        assert result["id"].startswith("imported-") and "/" not in result["id"]


@MANY
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_folder_of_a_run(done: bytes, result: bytes, held: bytes) -> None:
    with TemporaryDirectory() as name, redirect_stderr(io.StringIO()):
        folder = Path(name) / "run"
        folder.mkdir()
        (folder / "DONE").write_bytes(done)
        (folder / "result.json").write_bytes(result)
        (folder / "claim.000001").write_bytes(held)
        assert isinstance(damage(folder), list) and finished(folder) in (True, False)
        assert results_below(Path(name)) == [] and claim.describe(folder / "claim.000001")
        assert claim.living_claim(folder) is not None


@MANY
@given(keyed("files", "score", "report"))
def test_done_of_any_shape(plain: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        (Path(name) / "DONE").write_text(json.dumps(plain))
        amend(Path(name), {})
        (Path(name) / "result.json").unlink()
        assert isinstance(damage(Path(name)), list) and not finished(Path(name))


@MANY
@given(st.text(max_size=60) | VALUES.map(repr) | keyed("pred", "score").map(repr))
def test_verdict(text: str) -> None:
    right, score = read_verdict(text)
    assert right in (True, False, None) and (score is None or 0 <= score <= 5)


@MANY
@given(st.binary(max_size=120).map(zlib.compress) | st.binary(max_size=60))
def test_tokens(content: bytes) -> None:
    with suppress(ValueError):
        last_layer, anchor = unpack(content)
        assert last_layer.shape == anchor.shape


@MANY
@given(st.binary(max_size=200) | keyed("cell", "inputs").map(lambda plain: json.dumps(plain).encode()))
def test_configuration_of_a_run(content: bytes) -> None:
    with TemporaryDirectory() as name:
        (Path(name) / "config.yaml").write_bytes(content)
        with pytest.raises(WinnowError):
            stored_cell(Path(name), trust=False)


@cache
def cell() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(cell_from(["model=pico"]).plain()))
    return plain


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A cell with one value, at any depth, replaced."""
    first, *rest = path
    return cell() | {first: cell()[first] | {rest[0]: value} if rest else value}


def places() -> st.SearchStrategy[tuple[str, ...]]:
    inner = [(one, two) for one, found in cell().items() if isinstance(found, dict) for two in found]
    return st.sampled_from([*((one,) for one in cell()), *inner])


@MANY
@given(st.builds(changed, st.deferred(places), VALUES))
def test_a_cell_of_any_shape(plain: dict[str, Any]) -> None:
    """Whatever stands in its fields: a cell that names nothing strange, or one line."""
    with TemporaryDirectory() as name, suppress(WinnowError):
        (Path(name) / "config.yaml").write_text(json.dumps({"cell": plain, "inputs": {}}))
        assert not list(strangers(stored_cell(Path(name), trust=False)))


WORDS = st.text(alphabet="ABCDEabcde().:* \n'\"answeristhoptnyo«»选项", max_size=60) | st.text(max_size=60)


@MANY
@given(WORDS, st.dictionaries(st.sampled_from("ABCDEF"), st.text(max_size=12), min_size=1))
def test_reader_of_options(answer: str, options: dict[str, str]) -> None:
    assert read_letter(answer, options) in {*options, *LETTERS, ""}


@MANY
@given(WORDS, VALUES)
@pytest.mark.parametrize("read", [yes_or_no, exact])
def test_readers(read: Callable[..., Reading], answer: str, value: Any) -> None:
    found = read(None, answer, {"answer": value})
    assert found.parsed in (True, False) and 0 <= found.score <= 1


FEW = settings(MANY, max_examples=max(20, EXAMPLES // 20))
KEYS = st.sampled_from(
    ["ratio", "reducer.rows", "schedule.k", "limit", "budget.mean", "model.frames", "tasks.tasks", "x"]
)


@FEW
@given(st.lists(st.tuples(KEYS, st.text(max_size=9) | VALUES.map(str)), max_size=3))
def test_words_of_the_command_line(words: list[tuple[str, str]]) -> None:
    """A cell, or one line; what Hydra and OmegaConf say is one line by `one_line`."""
    said = "none"
    try:
        said = cell_from([f"{key}={value}" for key, value in words]).method.name
    except (HydraException, OmegaConfBaseException) as error:
        said = one_line(error)
    except WinnowError as error:
        said = str(error)
    assert said and "Traceback" not in said
