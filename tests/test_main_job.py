"""The main job from the command line to the table: what every supported environment has to get right."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_one_cell_from_the_command_line_to_the_table(tmp_path: Path) -> None:
    """FastV on pico keeps 25 of 100 tokens from layer 2 of 8 on: (2 x 100 + 6 x 25) / 8 = 43.75 % of them."""
    words = ["reducer=fastv", "ratio=0.25", "schedule=pico_k", "schedule.k=2", "limit=8", "results=runs"]
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs").glob("*/result.json")
    result = json.loads(path.read_text())
    assert result["shares"] == {"entrance": 1.0, "mean": 0.4375, "last": 0.25}
    assert result["tasks"][0]["mean"] >= 75 and result["failed"] == 0
    assert "43.8" in done.stdout and path.parent.name in done.stdout
