"""What no document could survive is told once, before or after the first few, and nothing else is tried."""

from pathlib import Path
from typing import Any, cast

import pytest
from runs import Run, counted

from winnow.harness.run import cell_run, preflight
from winnow.models.check.cases import image_prompt, video_prompt
from winnow.models.engine import tower_session
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded

CUSTOM = ("reducer=custom", "reducer.target=breaking:Broken")
METHOD = '''
from dataclasses import dataclass
from winnow import Reducer, Site

@dataclass(frozen=True)
class Broken(Reducer):
    """Fails at all documents but the first ones."""

    adaptive = True
    good: int = 0

    def sites(self, depth, tower=None):
        return (Site.entrance(depth),)

    def count(self, site, grid, present):
        return present

    def reduce(self, view):
        if int(view.layout.key.rpartition("/")[2]) >= self.good:
            raise RuntimeError("this method is broken")
'''


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cell_run, "ALIKE", 3)
    (tmp_path / "breaking.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_model_that_can_answer_nothing_is_one_line(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a checkpoint whose processor lacks a patch size or a chat template."""

    def broken(loaded: Loaded, *arguments: Any) -> None:
        raise ValueError("Cannot use chat template functions because tokenizer.chat_template is not set")

    monkeypatch.setattr(preflight, "encode", broken)
    ran = run("reducer=none", "limit=6")
    assert ran.code == 2 and ran.err.count("\n") == 1
    assert "cannot answer pico_video, even about blank media: ValueError: Cannot use chat template" in ran.err
    assert not list(results.glob("*/journal/*.jsonl"))


def test_each_form_of_prompt_is_tried_once_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """MVBench's twenty tasks all show one video of as many frames."""
    tried: list[Prompt] = []
    monkeypatch.setattr(preflight, "preflight", lambda loaded, document, prompt: tried.append(prompt))
    fly, nobody = preflight.Preflight(), cast(Any, None)
    prompts = [video_prompt(4), video_prompt(4, "count ."), video_prompt(2), image_prompt(), image_prompt("why ?")]
    for prompt in prompts:
        fly(nobody, nobody, prompt)
    assert tried == [prompts[0], prompts[2], prompts[3]]


def test_documents_that_fail_alike_stop_their_run_and_no_other(run: Run, small: None, results: Path) -> None:
    ran = run("-m", *CUSTOM, "reducer.args.good=0,100", "limit=8", "batch_size=2")
    assert ran.code == 1 and "its first 4 documents fail alike (RuntimeError: this method is broken)" in ran.err
    failed = {path.parent: path.read_text() for path in results.glob("*/FAILED")}
    assert len(failed) == 1 and "stopped" in next(iter(failed.values()))
    rows = {path.parent.parent: path.read_bytes().count(b"\n") for path in results.glob("*/journal/*.jsonl")}
    assert rows[next(iter(failed))] == 4
    assert len(list(results.glob("*/DONE"))) == 1


def test_weights_that_a_method_lacks_are_asked_for_once(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counted(monkeypatch, tower_session, "load_text_tower")
    ran = run("-m", "reducer=trim", "ratio=0.5", "reducer.text_tower=nobody/nothing,random", "limit=4", "batch_size=2")
    assert ran.code == 1
    assert "is stopped, it cannot answer pico_video, even about blank media: cannot load 'nobody/nothing'" in ran.err
    assert [name for name, *_ in asked].count("nobody/nothing") == 1
    assert len(list(results.glob("*/DONE"))) == 1


def test_a_run_that_has_answered_something_goes_on(run: Run, small: None) -> None:
    ran = run(*CUSTOM, "reducer.args.good=1", "limit=8", "batch_size=1")
    assert ran.code == 1 and "7 of 8 documents failed (7 x RuntimeError: this method is broken)" in ran.err
