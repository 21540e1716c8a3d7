"""A run's files, read back by whoever looks at it."""

from pathlib import Path

import pytest
from written import result, write_scores

from winnow.harness.common.run_files import TRACES, read_samples, read_table
from winnow.harness.results.plots.sample import trace_of
from winnow.harness.results.report import collect
from winnow.reducers.core.errors import WinnowError

GOOD = b'{"doc_id": 0, "prompt": "who?", "answer": "Ann"}\n'
BAD = [b'{"doc_id": 1, "pro', b"[1]\n", b"3\n", b"{}\n", b"\xff\xfe\0\n", b"[" * 9999]


@pytest.mark.parametrize("bad", BAD)
def test_damaged_samples_are_named(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "samples_quiz.jsonl").write_bytes(GOOD + bad)
    with pytest.raises(WinnowError, match=r"samples_quiz\.jsonl is damaged: run .* again with force=true"):
        list(read_samples(tmp_path, "quiz"))


def test_a_report_goes_on_without_damaged_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run, bad in (("a", b""), ("b", b"{")):
        (tmp_path / run).mkdir()
        (tmp_path / run / "samples_quiz.jsonl").write_bytes(GOOD + bad)
    (tmp_path / "b" / "config.yaml").write_bytes(b"\xff")
    (tmp_path / "b" / "env.json").write_bytes(b"\xff")
    runs = [result("a", "quiz"), result("b", "quiz")]
    (sample,) = collect.samples(runs, tmp_path, 9)
    assert [answer["run"] for answer in sample["answers"]] == ["a"]
    err = capsys.readouterr().err
    assert err == f"left out: {tmp_path}/b/samples_quiz.jsonl is damaged: run b again with force=true\n"
    told = collect.details(runs[1], tmp_path)
    assert told["settings"] == "�" and "environment" not in told


@pytest.mark.parametrize("bad", [b"", b"PAR1", b"[1]"])
def test_damaged_tables_are_named(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / TRACES).write_bytes(bad)
    for look in (lambda: read_table(tmp_path / TRACES), lambda: trace_of(tmp_path, "quiz/0")):
        with pytest.raises(WinnowError, match=r"traces\.parquet is damaged: run .* again with force=true"):
            look()


def test_a_table_of_no_documents_is_damaged(tmp_path: Path) -> None:
    write_scores(tmp_path, [{"x": 1}])
    with pytest.raises(WinnowError, match=r"scores\.parquet is damaged"):
        read_table(tmp_path / "scores.parquet")
    with pytest.raises(WinnowError, match=r"traces\.parquet is missing"):
        read_table(tmp_path / TRACES)
