"""Only one living process holds a run."""

import json
import multiprocessing
import os
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from winnow.harness.run import claim
from winnow.harness.run.claim import Claim

FORK = multiprocessing.get_context("fork")


def forge(folder: Path, number: int = 1, **holder: object) -> Path:
    """A claim of some other holder."""
    path = folder / f"claim.{number:06d}"
    path.write_text(
        json.dumps({"host": claim._host(), "boot": claim._boot(), "pid": 2**22 + 1, "started": "1"} | holder)
    )
    return path


def test_second_claim_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    with Claim(tmp_path) as first:
        second = Claim(tmp_path)
        assert first.held and not second.held
        assert second.holder.startswith(f"process {os.getpid()} on ")
    assert Claim(tmp_path).held
    assert not list(tmp_path.glob(".claim*"))


def test_release_leaves_nothing(tmp_path: Path) -> None:
    forge(tmp_path, 3)
    with Claim(tmp_path) as taken:
        assert taken.held and taken.path is not None and taken.path.name == "claim.000004"
    assert not list(tmp_path.iterdir())


def test_dead_holder_is_taken_over(tmp_path: Path) -> None:
    forge(tmp_path)
    assert Claim(tmp_path).held


def test_number_of_a_dead_process_given_to_another_is_not_its_holder(tmp_path: Path) -> None:
    forge(tmp_path, pid=os.getpid(), started="0")
    assert Claim(tmp_path).held


def test_holder_elsewhere_lives_by_its_heartbeat(tmp_path: Path) -> None:
    path = forge(tmp_path, host="elsewhere/pid")
    assert Claim(tmp_path).holder == f"process {2**22 + 1} on elsewhere"
    os.utime(path, (time.time() - claim.STALE - 1,) * 2)
    assert Claim(tmp_path).held


def test_two_machines_of_one_name_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    """As containers of one image: the process cannot be seen, so that the heartbeat tells."""
    path = forge(tmp_path, boot="another boot")
    assert not Claim(tmp_path).held
    os.utime(path, (time.time() - claim.STALE - 1,) * 2)
    assert Claim(tmp_path).held


@pytest.mark.parametrize("name", ["claim.bak", "claim.000001 (1)", "claim.000009.bak", "claim.x", "[1]", "claim-[1].1"])
def test_copies_of_a_claim_are_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with Claim(tmp_path) as taken:
        assert taken.held and claim.living_claim(tmp_path) == taken.path
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("text", ["[]", "null", '"x"', '{"host": 1, "pid": "x"}', "\xff"])
def test_no_content_of_a_claim_stops_anybody(tmp_path: Path, text: str) -> None:
    (tmp_path / "claim.000001").write_text(text, encoding="latin-1")
    assert not Claim(tmp_path).held and claim.describe(tmp_path / "claim.000001").startswith("process ")


def test_evicted_holder_finds_out_and_another_takes_the_run(tmp_path: Path) -> None:
    with Claim(tmp_path / "run") as hung:
        assert claim.evict(tmp_path / "run") == [f"process {os.getpid()} on {claim._host().partition('/')[0]}"]
        assert claim.living_claim(tmp_path / "run") is None
        with Claim(tmp_path / "run") as other:
            assert other.held and hung.lost(look=True) and not other.lost(look=True)
            hung.release()
            assert claim.living_claim(tmp_path / "run") == other.path
    assert claim.evict(tmp_path / "run") == []


def test_half_written_claim_dies_with_its_heartbeat(tmp_path: Path) -> None:
    path = tmp_path / "claim.000001"
    path.write_text("{")
    assert not Claim(tmp_path).held
    os.utime(path, (0, 0))
    assert Claim(tmp_path).held


def test_answer_lost_on_the_network_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file server that made the link may be asked again, and then says that the name is taken."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    assert Claim(tmp_path).held


@pytest.mark.parametrize("jump", [-(10**6), 10**6], ids=["back", "forward"])
def test_clock_of_this_machine_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """Only the file system's own times are compared, so that a wrong clock takes nobody's run away."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    path = forge(tmp_path, host="elsewhere/pid")
    assert not Claim(tmp_path).held
    os.utime(path, (real() - claim.STALE - 1,) * 2)
    assert Claim(tmp_path).held


def test_claim_from_the_future_is_stale(tmp_path: Path) -> None:
    """Left by a holder that died before the file server's clock was set back."""
    path = forge(tmp_path, host="elsewhere/pid")
    os.utime(path, (time.time() + 3600,) * 2)
    assert Claim(tmp_path).held


def taken_over(held: Claim, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """The same run claimed by another machine, that took the holder for dead."""
    monkeypatch.setattr(claim, "_host", lambda: "elsewhere/pid")
    assert held.path is not None
    os.utime(held.path, (0, 0))
    return Claim(held.folder)


def test_who_was_taken_over_notices_and_leaves_the_other_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Claim(tmp_path)
    second = taken_over(first, monkeypatch)
    assert second.held
    assert not first.lost()  # it had no reason to look
    first._seen -= claim.STALE
    assert first.lost() and not second.lost(look=True)
    first.release()
    assert second.path is not None and second.path.exists()


def test_same_number_given_again_is_another_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Claim(tmp_path)
    taken_over(first, monkeypatch).release()
    third = Claim(tmp_path)
    assert third.path == first.path and first.lost(look=True)
    first.release()
    assert third.path is not None and third.path.exists() and not third.lost(look=True)


def test_a_listing_from_before_a_claim_does_not_take_it_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that machines share may be listed as they were some seconds ago."""
    (tmp_path / "claim.000001").write_text("{}")
    os.utime(tmp_path / "claim.000001", (0, 0))
    mine = Claim(tmp_path)
    assert mine.path == tmp_path / "claim.000002"
    for listing in ([tmp_path / "claim.000001"], []):
        monkeypatch.setattr(claim, "claims", lambda *_, listing=listing: listing)
        assert not mine.lost(look=True)
    mine.release()
    assert not (tmp_path / "claim.000002").exists()


def test_parts_are_held_side_by_side_but_not_beside_the_whole(tmp_path: Path) -> None:
    one, two = (Claim(tmp_path, claim.part_name(index, 3)) for index in range(2))
    assert one.held and two.held and not Claim(tmp_path, claim.part_name(1, 3)).held
    assert not Claim(tmp_path).held and not Claim(tmp_path, claim.part_name(0, 2)).held
    one.release()
    two.release()
    whole = Claim(tmp_path)
    assert whole.held and not Claim(tmp_path, claim.part_name(0, 3)).held
    whole.release()
    assert not list(tmp_path.iterdir())


def test_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "HEARTBEAT", 0.01)
    with Claim(tmp_path) as held:
        assert held.path is not None
        os.utime(held.path, (0, 0))
        deadline = time.time() + 10
        while held.path.stat().st_mtime == 0 and time.time() < deadline:
            time.sleep(0.01)
        assert held.path.stat().st_mtime > 0


def compete(folder: Path, gate: Barrier, won: "Queue[int]") -> None:
    gate.wait()
    held = Claim(folder)
    if held.held:
        won.put(os.getpid())
    gate.wait()  # whoever holds it lives until all have tried


@pytest.mark.parametrize("dead", [0, 1], ids=["free", "dead holder"])
def test_one_of_many_wins(tmp_path: Path, dead: int) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if dead:
            forge(folder)
        won: Queue[int] = FORK.Queue()
        gate = FORK.Barrier(6)
        rivals = [FORK.Process(target=compete, args=(folder, gate, won)) for _ in range(6)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        assert won.get(timeout=5)
        assert won.empty()


def test_a_process_that_the_system_hides_is_not_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's processes may be invisible: then their heartbeat counts, as on another machine."""
    with Claim(tmp_path / "run") as held:
        assert held.path is not None
        monkeypatch.setattr(claim, "_start_time", lambda pid: None)
        assert not claim.alive(held.path)
        monkeypatch.setattr(claim, "_owned", lambda path: False)
        assert claim.alive(held.path)
        os.utime(held.path, (1, 1))
        assert not claim.alive(held.path)


def test_a_holder_that_died_and_was_not_waited_for_is_dead(tmp_path: Path) -> None:
    """A zombie still has its number and its time of birth."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    born = Path(f"/proc/{pid}/stat")
    while born.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.001)
    started = born.read_text().rpartition(")")[2].split()[19]
    try:
        assert not claim.alive(forge(tmp_path, pid=pid, started=started)) and Claim(tmp_path).held
    finally:
        os.waitpid(pid, 0)
