"""What others computed can be looked at without the right to write beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.sweep.plan import plan

WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", sys.executable]
needs_root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="takes root's rights away, by setpriv"
)


@needs_root
def test_a_folder_of_another_user_is_shown_and_stays_as_it_is(
    tmp_path: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    results = tmp_path / "theirs"
    made = plan(["reducer=none", "tasks=pico_video", "limit=2", "batch_size=2", f"results={results}"])
    made.save()
    assert CliRunner().invoke(app, ["work", str(made.path)]).exit_code == 0
    for path in (results, *results.rglob("*")):
        os.chown(path, 65534, 65534)
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    for words, expected in ((["tables", "--results", results], "pico_video"), (["status", made.path], "1 of 1 cell")):
        shown = subprocess.run(
            [*WITHOUT_RIGHTS, "-m", "winnow.harness.cli.main", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr
        assert "belongs to another user" in shown.stderr and expected in shown.stdout
    assert before == {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
