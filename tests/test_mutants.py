"""The tests that a fault is tried with, and what their end says: only what a test explains is a fault noticed."""

import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.mutation import nearest, shop
from scripts.mutation.covering import Covering, Ran
from scripts.mutation.unrun import unrun
from scripts.mutation.verdict import Verdict, judged
from scripts.mutation.worker import LATE, Answer, Worker


def answer(code: int, failed: tuple[str, ...] = (), broken: tuple[str, ...] = (), tests: int = 1) -> Answer:
    return Answer(code, 0.1, "the last words", {f"test_{number}": 0.1 for number in range(tests)}, [*failed], [*broken])


@pytest.mark.parametrize(
    ("end", "found", "said"),
    [
        (answer(0), Verdict.SURVIVED, ""),
        (answer(0, tests=0), Verdict.ERROR, "the last words"),
        (answer(1, failed=("test_a", "test_b")), Verdict.FAILED, "test_a"),
        (answer(1, broken=("test_a.py",)), Verdict.BROKEN, "test_a.py"),
        (answer(2, broken=("test_a.py",)), Verdict.BROKEN, "test_a.py"),
        (answer(1), Verdict.ERROR, "ended with 1"),
        (answer(2), Verdict.ERROR, "ended with 2"),
        (answer(3, failed=("test_a",)), Verdict.ERROR, "ended with 3"),
        (answer(4, broken=("test_a.py",)), Verdict.ERROR, "ended with 4"),
        (answer(5, tests=0), Verdict.ERROR, "ended with 5"),
        (answer(LATE), Verdict.ENDLESS, ""),
        (answer(-signal.SIGXCPU), Verdict.ENDLESS, ""),
        (answer(-signal.SIGSEGV), Verdict.DIED, "SIGSEGV"),
        (answer(-signal.SIGKILL), Verdict.ERROR, "ended with -9"),
    ],
)
def test_an_end_is_judged_by_its_code_and_by_what_the_tests_said(end: Answer, found: Verdict, said: str) -> None:
    verdict, words = judged(end)
    assert verdict is found and said in words
    assert verdict.noticed is (found not in (Verdict.SURVIVED, Verdict.ERROR))


TESTS = """
import os, time
import pytest
import thing

def test_first(): assert thing.VALUE == 1
def test_second(): assert os.getcwd() == os.environ["PYTHONPATH"]
@pytest.mark.parametrize("hold", ["loop", "sleep"])
def test_never_ends(hold):
    while True:
        time.sleep(hold == "sleep")
"""


@pytest.mark.full
def test_a_worker_runs_what_its_tree_holds_at_that_moment(tmp_path: Path) -> None:
    (tmp_path / "test_thing.py").write_text(TESTS)
    thing = tmp_path / "thing.py"
    thing.write_text("VALUE = 1\n")
    worker = Worker(tmp_path)

    def ends(*chosen: str) -> tuple[Verdict, str]:
        tests = [f"test_thing.py::{name}" for name in chosen]
        return judged(worker.run(["-x", "test_thing.py"], limit=20, cpu=3, chosen=tests))

    try:
        assert ends("test_first", "test_second") == (Verdict.SURVIVED, "")
        thing.write_text("VALUE = 2\n")  # as long as before, in the same second
        assert ends("test_second", "test_first") == (Verdict.FAILED, "test_thing.py::test_first")
        thing.write_text("VALUE = \n")
        assert ends("test_first") == (Verdict.BROKEN, "test_thing.py")
        thing.write_text("VALUE = 1\n")
        assert ends("test_never_ends[loop]")[0] is ends("test_never_ends[sleep]")[0] is Verdict.ENDLESS
        assert ends("test_that_a_fault_renamed")[0] is Verdict.ERROR
        assert ends("test_first")[0] is Verdict.SURVIVED
    finally:
        worker.close()


CODE = """
LIMIT = 3

def first():
    return LIMIT

def second(): return first()
"""
NEAR, BESIDE, FAR = "tests/room/test_part.py", "tests/room/test_other.py", "tests/test_all.py"
SECONDS = {f"{NEAR}::a": 0.2, f"{NEAR}::b": 0.1, f"{BESIDE}::c": 0.1, f"{BESIDE}::d": 0.1, f"{FAR}::e": 0.01}


def chosen(tree: Path, line: int, lines: dict[int, set[Ran]], **seconds: float) -> list[str]:
    (tree / "room").mkdir(exist_ok=True)
    (tree / "room" / "part.py").write_text(CODE)
    fault: Any = SimpleNamespace(module_path=Path("room/part.py"), start_pos=(line, 0), end_pos=(line, 5))
    return nearest.tests_of(fault, tree, Covering({"room/part.py": lines}, SECONDS | seconds))


def ran(*tests: str, setup: bool = False) -> set[Ran]:
    return {Ran(test, setup) for test in tests}


def test_tests_that_run_the_line_come_by_nearness_then_by_time(tmp_path: Path) -> None:
    lines = {5: ran(f"{FAR}::e", f"{BESIDE}::d", f"{NEAR}::a", f"{NEAR}::b"), 7: ran(f"{BESIDE}::c")}
    assert chosen(tmp_path, 5, lines) == [f"{NEAR}::b", f"{NEAR}::a", f"{BESIDE}::d", f"{FAR}::e"]
    assert chosen(tmp_path, 7, lines) == [f"{BESIDE}::c"]
    assert chosen(tmp_path, 5, {7: lines[7]}) == [f"{BESIDE}::c"]  # compiled code is run by nobody


def test_what_nobody_is_seen_to_run_is_tried_with_the_files_named_after_it_or_its_folder(tmp_path: Path) -> None:
    named = {"tests/test_room.py::f": 0.3, "tests/room/test_part_of.py::g": 0.1}
    assert chosen(tmp_path, 5, {}, **named) == [f"{NEAR}::b", f"{NEAR}::a", "tests/test_room.py::f"]


def test_beside_a_fixture_and_in_the_mirrored_file_all_tests_count(tmp_path: Path) -> None:
    assert chosen(tmp_path, 5, {5: ran(f"{BESIDE}::c", setup=True)}) == [f"{BESIDE}::c", f"{BESIDE}::d"]
    assert chosen(tmp_path, 5, {5: ran(f"{BESIDE}::c")}) == [f"{BESIDE}::c"]
    assert chosen(tmp_path, 5, {5: ran(f"{NEAR}::a")}) == [f"{NEAR}::a", f"{NEAR}::b"]


def test_what_runs_on_import_is_tried_with_all_tests_of_its_module(tmp_path: Path) -> None:
    lines = {5: ran(f"{BESIDE}::c"), 7: ran(f"{FAR}::e")}
    assert chosen(tmp_path, 2, lines) == [f"{BESIDE}::c", f"{FAR}::e"]


def test_there_is_an_end_to_the_seconds_but_one_test_is_always_taken(tmp_path: Path) -> None:
    lines = {5: ran(f"{BESIDE}::c", f"{BESIDE}::d", f"{FAR}::e")}
    assert chosen(tmp_path, 5, lines, **{f"{BESIDE}::d": nearest.MOST}) == [f"{BESIDE}::c"]
    assert chosen(tmp_path, 5, {5: ran(f"{FAR}::e")}, **{f"{FAR}::e": 2 * nearest.MOST}) == [f"{FAR}::e"]


TYPED = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
else:
    torch = 1
LIMIT: int | None = 2
def first(a: int | str = 3) -> 4 | 5:
    if TYPE_CHECKING and a:
        b: "6" = 7
    return a
"""


def test_what_is_for_type_checkers_alone_is_left_out(tmp_path: Path) -> None:
    module = tmp_path / "typed.py"
    module.write_text(TYPED)
    lines = TYPED.splitlines()
    texts = []
    for (line, start), (last, stop) in unrun(module):
        cut = lines[line - 1 : last]
        cut[-1] = cut[-1][:stop]
        texts.append("\n".join(cut)[start:])
    assert sorted(texts) == sorted(["TYPE_CHECKING:\n    import torch", "int | None", "int | str", "4 | 5", '"6"'])


def test_what_a_file_of_tests_ran_is_known_until_it_or_the_code_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "ROOT", tmp_path)
    monkeypatch.setattr(shop, "BUILD", tmp_path / "build")
    for name in ("models/a.py", "tests/test_a.py", "tests/test_b.py", "tests/helper.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)

    def kept(changed: str) -> tuple[Path, Path]:
        (tmp_path / changed).write_text((tmp_path / changed).read_text() + "\n")
        made = shop.opened(["models"], [], 1)
        return made.kept(Path("tests/test_a.py")), made.folder

    first, folder = kept("tests/test_a.py")
    other, own = kept("tests/test_b.py")
    assert other == first and own != folder
    assert first not in {kept(name)[0] for name in ("tests/test_a.py", "tests/helper.py", "models/a.py")}
