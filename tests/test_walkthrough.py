"""Whoever types the commands of README and docs, page by page, meets no error."""

import json
import re
import shlex
from pathlib import Path

import pytest
from printed import COMMANDS

from winnow.harness.cli.main import app
from winnow.harness.cli.run import main
from winnow.harness.config.expand import expand
from winnow.harness.config.hydra_api import hydra
from winnow.harness.sweep.cells import cells_of

NEEDS = {
    "a network": r"^data (fetch|check)",
    "a server": r"^judge|=http://|tracker=wandb tracker\.project",
    "Slurm": r"hydra/launcher",
    "the files of a shell": r"^--install-completion",
    "a method that only a reader has": r"their\.package|reducer=my_method",
    "finished runs of a large model": r"controls=true|model=llava_ov .*reducer\.like=RUN|^audit run model=",
}
"""Commands that are not tried, and for want of what."""
TELLS = r"^data plan|^doctor|^status"
"""Commands whose exit code tells what is missing on a machine, or not finished."""
BEFORE = [
    "eval -m reducer=none,fastv,random ratio=0.25 schedule=pico limit=4 tasks=pico_video",
    "plan reducer=none,fastv ratio=0.5 schedule=pico limit=4",
    "export all.zip --full",
    "import all.zip",
]
"""What a reader has done already: runs, a plan, an archive."""
MOST = 12
"""Cells that are run; of more, and of models whose weights are not here, it is planned what would run."""


def small(words: list[str]) -> list[str]:
    """A command as it is asked of pico on a few documents, or of a large model's plan, or of its shallow shape."""
    name, rest = words[0], words[1:]
    if name in ("eval", "plan"):
        asked = [word for word in rest if not word.startswith("-")]
        with hydra():
            cells = cells_of(expand(asked, name == "plan" or "-m" in rest))
        if len(cells) > MOST or any(cell.model.name != "pico" for cell in cells):
            return ["plan", *asked, "--dry-run"]
        return [*words, "limit=4"]
    if name == "bench":
        rest = [word for word in rest if word != "model.device=cuda"]
        shape = ["model.weights=random", "model.scale=tiny", "+model.arch.tiny_layers=28"]
        return [name, *rest, *shape, "--rounds", "1", "--warmup", "0"]
    if name == "status":
        return words[:2]  # to watch is to wait for the end
    if name == "submit" and "--dry-run" not in words:
        return [*words, "--dry-run"]
    return [*words, "limit=4"] if name == "audit" else words


def run(words: list[str]) -> int:
    """Run a command as its program does; its exit code."""
    if words[0] == "eval":
        return main(words[1:])
    try:
        return int(app(words, standalone_mode=False) or 0)
    except SystemExit as left:
        return int(left.code or 0)


def filled(text: str, place: Path) -> str:
    """A command with names in the place of RUN and MANIFEST, and a folder of ours for a cluster's.

    Who runs a manifest here submits another one: of the same, nothing is left.
    """
    runs = place / "results/runs"
    known = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("*/result.json")}
    own = sorted(name for name, result in known.items() if result["reducer"] == "fastv" and "imported" not in name)
    manifests = sorted(runs.glob("sweeps/*/manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    manifest = manifests[-1 if text.startswith("submit") else 0]
    text = text.replace("/shared/me/runs", str(runs)).replace("MANIFEST", str(manifest)).replace(",…", "")
    return re.sub(r"\bRUN\b", own[0], text)


@pytest.mark.full
@pytest.mark.parametrize("page", sorted({each.page for each in COMMANDS}))
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    for line in BEFORE:
        assert run(shlex.split(line)) == 0, line
    for whose in ("my", "your"):
        (tmp_path / whose).symlink_to(tmp_path / "results")
    wrong = []
    for each in COMMANDS:
        if each.page != page or any(re.search(pattern, each.text) for pattern in NEEDS.values()):
            continue
        capsys.readouterr()
        try:
            code = run(small(shlex.split(filled(each.text, tmp_path))))
        except Exception as error:
            wrong.append(f"winnow {each.text}: {error}")
            continue
        said = capsys.readouterr()
        if code and not re.search(TELLS, each.text):
            wrong.append(f"winnow {each.text}: exit code {code}, {said.err.strip()[-300:]}")
        wrong += [f"winnow {each.text} does not print {line!r}" for line in each.output if line not in said.out]
    assert not wrong, "\n".join(wrong)


def test_what_is_not_tried_is_there_and_has_one_reason() -> None:
    lines = [each.text for each in COMMANDS]
    for want, pattern in NEEDS.items():
        assert any(re.search(pattern, line) for line in lines), want
    left = [line for line in lines if any(re.search(pattern, line) for pattern in NEEDS.values())]
    assert len(left) < len(lines) / 8
