"""Data that are missing, damaged or half unpacked are found before a model is loaded, in one line."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from runs import Run, only, result_of
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.common.run_files import JOURNAL
from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.decoding import Decoder
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import counted, grouped
from winnow.harness.data.fetch import _listing
from winnow.harness.data.listing import Listing
from winnow.harness.data.needs import needs
from winnow.harness.data.places import data_of
from winnow.harness.data.sizes import SIZES
from winnow.harness.data.unpack import archives, unpack
from winnow.harness.run.journal import read
from winnow.harness.tasks.catalogue import BENCHMARKS
from winnow.harness.tasks.lmms_eval import quiet
from winnow.harness.tasks.validate import validate
from winnow.harness.tasks.videos import MVBENCH, PLACES
from winnow.reducers.core.errors import WinnowError


@pytest.fixture
def damaged(fixtures: Path, tmp_path: Path) -> Path:
    """A copy of the miniatures to spoil."""
    return Path(shutil.copytree(fixtures, tmp_path / "data", ignore=shutil.ignore_patterns("datasets")))


def winnow(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames of each video are asked for."""
    asked, decode = list[int](), Decoder.decode

    def noted(self: Decoder, path: Path, frames: int, *more: Any) -> Any:
        asked.append(frames)
        return decode(self, path, frames, *more)

    monkeypatch.setattr(Decoder, "decode", noted)
    return asked


def test_plan_needs_no_network_and_guesses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    text = winnow("data", "plan", "prumerge_video", "egoschema", "vqav2_val").stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line.split()[:1]}
    assert "Video-LLaVA" in lines["msvd_qa"] and "no questions and no videos" in lines["msvd_qa"]
    assert "105.7" in lines["egoschema"] and "105.7 GB at 5835052, the file list" in lines["egoschema:"]
    assert lines["vqav2_val"].count("unknown") == 2


def test_plan_of_what_is_no_benchmark() -> None:
    with pytest.raises(WinnowError, match=r"'nope' is no benchmark: did you mean pope\? choose activitynetqa, "):
        winnow("data", "plan", "nope")


def test_check_of_complete_data(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counting(monkeypatch)
    done = winnow("data", "check", "perceptiontest_val_mc", "textvqa_val", "--data", str(fixtures))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "perceptiontest_val_mc: 3 documents, 1 files and pictures open",
        "textvqa_val: 3 documents, 3 files and pictures open",
    ]
    assert asked == [8]
    winnow("data", "check", "perceptiontest_val_mc", "--data", str(fixtures), "--fast")
    assert asked == [8, 1]


def test_check_lists_what_is_missing_or_broken(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the frames of a model, which its processor then takes."""
    asked, videos = counting(monkeypatch), damaged / "home" / "mlvu"
    (videos / "ego_2.mp4").unlink()
    (videos / "count_1.mp4").write_bytes((videos / "count_1.mp4").read_bytes()[:900])
    done = winnow("data", "check", "mlvu_dev", "model=pico", "model.frames=3", "--data", str(damaged))
    assert done.exit_code == 1
    assert "mlvu_dev: 8 documents, 6 files and pictures open, 2 cannot be shown" in done.stdout
    listed = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in listed if line.startswith("document")] == [
        f"document 1: {videos / 'count_1.mp4'}",
        f"document 2: {videos / 'ego_2.mp4'}",
    ]
    assert any(line.startswith("1 x video cannot be decoded (") for line in listed)
    assert any(line.startswith("1 x SystemExit: video path:") for line in listed)
    assert set(asked) == {3}


def _hole(path: Path) -> None:
    """Zeros in the middle, as where a download never came."""
    content = path.read_bytes()
    middle, size = len(content) // 3, len(content) // 3
    path.write_bytes(content[:middle] + bytes(size) + content[middle + size :])


def test_missing_video_fails_and_an_accepted_damaged_one_is_counted(damaged: Path, run: Run, results: Path) -> None:
    (damaged / "home" / "mlvu" / "ego_2.mp4").unlink()
    _hole(damaged / "home" / "mlvu" / "count_1.mp4")
    ran = run("tasks=mlvu_dev", f"tasks.data={damaged}", "media.accept_damaged=true")
    assert ran.code == 1 and "1 of 8 documents failed" in ran.err and "does not exist" in ran.err
    assert f"[document 2 of {damaged / 'home/mlvu/ego_2.mp4'}])" in ran.err
    result = result_of(only(results))
    assert (result["tasks"][0]["documents"], result["damaged"]) == (8, 1)
    rows = read(only(results) / JOURNAL)
    assert [key for key, row in rows.items() if row.damage] == [("mlvu_dev", 1)]


def test_equal_reasons_stand_together_without_their_files() -> None:
    told = "is damaged (it ends early): download it again"
    reasons = [(0, f"video /a b/one.mp4 {told}"), (3, "out of memory"), (7, f"video /c/two.webm {told}")]
    first, second = grouped(reasons)
    assert first == (f"video {told}", [(0, "/a b/one.mp4"), (7, "/c/two.webm")])
    assert second == ("out of memory", [(3, "")]) and str(second) == "out of memory"
    assert str(first) == f"video {told} [document 0 of /a b/one.mp4, document 7 of /c/two.webm]"
    assert counted(reasons) == {f"video {told}": 2, "out of memory": 1}


def test_unreachable_hub_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setattr("datasets.load_dataset", _unreachable)
    ran = run("tasks=mme")
    assert ran.code == 2 and ran.err.count("\n") == 1
    assert "needs the dataset lmms-lab-encoder/MME, which is not in" in ran.err and "`winnow data fetch mme`" in ran.err


def _unreachable(*args: Any, **kwargs: Any) -> None:
    raise ConnectionError("no route to host")


def test_fetch_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", _unreachable)
    with pytest.raises(WinnowError, match="the hub cannot be reached: fetch dataset lmms-lab-encoder/MME where there"):
        winnow("data", "fetch", "mme")


class Hub:
    """A hub of the miniatures, each with files that no task needs; remembers what was downloaded."""

    def __init__(self, fixtures: Path, place: Path) -> None:
        self.place, self.got = Path(shutil.copytree(fixtures / "mirror", place)), list[str]()
        textvqa, perception = self.place / "lmms-lab-encoder/textvqa", self.place / "lmms-eval/PerceptionTest_Val"
        rows = next(textvqa.rglob("validation-*.parquet"))
        shutil.copy(rows, rows.with_name("train-00000-of-00001.parquet"))
        card = (textvqa / "README.md").read_text()
        train = "  - split: train\n    path: default/train-*.parquet\n"
        (textvqa / "README.md").write_text(card.replace("  data_files:\n", "  data_files:\n" + train))
        with zipfile.ZipFile(perception / "videos_chunked_01.zip", "w") as archive:
            for path in (fixtures / "home/perceptiontest_val").rglob("*.mp4"):
                archive.write(path, path.relative_to(fixtures / "home/perceptiontest_val"))
        (perception / "valid_audios.zip").write_bytes(b"sound")

    def dataset_info(self, repo: str, revision: str | None, files_metadata: bool) -> Any:
        paths = [path for path in (self.place / repo).rglob("*") if path.is_file()]
        named = [SimpleNamespace(rfilename=str(p.relative_to(self.place / repo)), size=p.stat().st_size) for p in paths]
        card = yaml.safe_load((self.place / repo / "README.md").read_text().split("---")[1])
        return SimpleNamespace(sha="abcdef01234", siblings=named, card_data=SimpleNamespace(to_dict=lambda: card))

    def snapshot_download(
        self, repo: str, allow_patterns: list[str], local_dir: Path | None = None, **more: Any
    ) -> str:
        folder = local_dir or self.place.parent / "snapshots" / repo
        for name in allow_patterns:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.place / repo / name, folder / name)
        self.got += allow_patterns
        return str(folder)


@pytest.fixture
def hub(fixtures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(fixtures, tmp_path / "hub")
    _listing.cache_clear()
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda self, *a, **k: made.dataset_info(*a, **k))
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.snapshot_download)
    return made


@pytest.mark.parametrize("where", ["hub", "folder"])
def test_fetch_takes_what_the_tasks_need_and_runs_read_that(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """One split of two, the videos without the sound; then nothing is asked of a hub any more."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    data = "hub" if where == "hub" else str(tmp_path / "data")
    tasks = ["textvqa_val", "perceptiontest_val_mc"]
    done = winnow("data", "fetch", *tasks, "--data", data)
    assert done.exit_code == 0 and "lmms-lab-encoder/textvqa at abcdef01," in done.stdout
    assert sorted(Path(name).name for name in hub.got) == [
        "validation-00000-of-00001.parquet",
        "validation-00000-of-00001.parquet",
        "videos_chunked_01.zip",
    ]
    monkeypatch.setattr("huggingface_hub.snapshot_download", _unreachable)
    loaded = Tasks(TasksConfig(name="t", tasks=tasks, data=data))
    assert [len(loaded.documents(name, None)) for name in tasks] == [3, 3]
    assert list(loaded.load("textvqa_val").dataset) == ["validation"]
    assert all(Path(path).is_file() for one in loaded.documents(tasks[1], None) for path in one.visuals())
    assert {need.state for need in needs(tasks, data_of(data))} == {"there"}


def test_fixtures_are_not_fetched() -> None:
    with pytest.raises(WinnowError, match="--data fixtures is not allowed"):
        winnow("data", "fetch", "mme", "--data", "fixtures")


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([], ["a/dev-0.parquet", "data/dev-1.json"]),
        ([{"config_name": "en", "data_files": "a/*"}], ["a/dev-0.parquet", "a/test-0.parquet"]),
        ([{"config_name": "en", "data_files": ["./a/dev-0.parquet"]}], ["a/dev-0.parquet"]),
        ([{"config_name": "en", "data_files": [{"split": "dev", "path": ["a/dev-*"]}]}], ["a/dev-0.parquet"]),
    ],
)
def test_files_of_a_split(configs: list[dict[str, Any]], expected: list[str]) -> None:
    names = ["README.md", "a/dev-0.parquet", "a/test-0.parquet", "data/dev-1.json", "dev.zip"]
    listing = Listing("o/r", None, "c", dict.fromkeys(names, 5), configs)
    found = listing.rows(BENCHMARKS["mmbench_en_dev_static"])
    assert found == {("en", "dev"): expected} and listing.bytes_of(expected) == 5 * len(expected)


def test_sizes_are_of_tasks_and_have_a_source() -> None:
    assert set(BENCHMARKS) >= set(SIZES) and all(size.gigabytes > 0 and size.source for size in SIZES.values())
    assert set(PLACES) == set(MVBENCH)


ROW = {"question_id": "1", "question": "what?", "answer": "Yes", "category": "color"}
ANSWERED = {"question_idx": "0", "video_idx": "v", "question": "what?", "option": ["A. x"], "answer": "1"}
BAD: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "no answer": ("mme", [ROW, ROW | {"answer": None}], "task 'mme': row 1 has no answer; its data are damaged: fetch"),
    "empty answer": ("mme", [ROW | {"answer": ""}], "row 0 has no answer"),
    "unknown category": ("mme", [ROW | {"category": "smell"}], "row 0 has an unknown category 'smell': known are exis"),
    "wrong type": ("mme", [ROW | {"question": 3}], "row 0 has question=3, which is no text"),
    "no options": ("egoschema_subset", [ANSWERED | {"option": []}], r"row 0 has option=\[\], which is no list"),
    "missing column": ("egoschema_subset", [ROW], "has no column 'video_idx'"),
    "double name": ("egoschema_subset", [ANSWERED, ANSWERED], "rows 0 and 1 are both question_idx=0"),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_that_cannot_be_used(name: str) -> None:
    from datasets import Dataset

    task, rows, message = BAD[name]
    with pytest.raises(WinnowError, match=message):
        validate(BENCHMARKS[task], Dataset.from_list(rows))


def test_bad_rows_stop_a_run_before_a_model_loads(damaged: Path, run: Run) -> None:
    from winnow.harness.tasks.fixtures.images import mme
    from winnow.harness.tasks.fixtures.write import write_rows

    rows = mme()
    rows[3]["answer"] = None
    with quiet():
        write_rows(damaged / "mirror/lmms-lab-encoder/MME/default/test-00000-of-00001.parquet", rows)
    ran = run("tasks=mme", f"tasks.data={damaged}")
    assert ran.code == 2 and ran.err.startswith("error: task 'mme': row 3 has no answer; its data are damaged")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"videos/{number}.mp4", bytes([number]) * 100)


def _tar(path: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for number in range(3):
            member = tarfile.TarInfo(f"videos/{number}.mp4")
            member.size = 100
            archive.addfile(member, io.BytesIO(bytes([number]) * 100))
    content = whole.getvalue()
    for number, start in enumerate(range(0, len(content), 50)):
        path.with_name(f"{path.name}.part.{number:03d}").write_bytes(content[start : start + 50])


@pytest.mark.parametrize(("name", "make"), [("a.zip", _zip), ("a.tar.gz", _tar)])
def test_half_unpacked_archive_is_completed(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    folder, media = tmp_path / "snapshot", tmp_path / "media"
    folder.mkdir()
    make(folder / name)
    assert unpack(folder, media) == 3
    (media / "videos/1.mp4").write_bytes(b"half")
    (media / "videos/2.mp4").unlink()
    assert unpack(folder, media) == 2
    assert [(media / f"videos/{n}.mp4").read_bytes() for n in range(3)] == [bytes([n]) * 100 for n in range(3)]
    assert unpack(folder, media) == 0


def test_archives_that_are_damaged_or_reach_outside(tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    _zip(folder / "a.zip")
    whole = (folder / "a.zip").read_bytes()
    (folder / "a.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WinnowError, match=r"archive .*a\.zip is damaged"):
        unpack(folder, tmp_path / "media")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../outside.mp4", b"x")
    with pytest.raises(WinnowError, match="lies outside of it"):
        unpack(folder, tmp_path / "media")


def test_loose_files_are_linked(tmp_path: Path) -> None:
    (tmp_path / "snapshot/video").mkdir(parents=True)
    (tmp_path / "snapshot/video/a.mp4").write_bytes(b"x")
    assert unpack(tmp_path / "snapshot", tmp_path / "media") == 1
    assert (tmp_path / "media/video/a.mp4").read_bytes() == b"x"


def test_parts_of_archives_are_found_by_their_names() -> None:
    names = ["a.TGZ", "b.zip.001", "b.zip.002", "c.tar.part_aa", "c.tar.part_ab", "d.ZIP", "e.tar.gz.part.0", "f.mp4"]
    found = {stem.name: [path.name for path in parts] for stem, parts in archives(map(Path, names))}
    assert found == {
        "a.tgz": ["a.TGZ"],
        "b.zip": ["b.zip.001", "b.zip.002"],
        "c.tar": ["c.tar.part_aa", "c.tar.part_ab"],
        "d.zip": ["d.ZIP"],
        "e.tar.gz": ["e.tar.gz.part.0"],
    }


def test_split_zip_and_other_names_are_unpacked(tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    _zip(tmp_path / "a.zip")
    content = (tmp_path / "a.zip").read_bytes()
    for number in range(3):
        (folder / f"a.zip.{number + 1:03d}").write_bytes(
            content[200 * number : 200 * (number + 1) if number < 2 else None]
        )
    (folder / "LOUD.AVI").write_bytes(b"x")
    assert unpack(folder, tmp_path / "media") == 4
    assert (tmp_path / "media/videos/2.mp4").read_bytes() == bytes([2]) * 100


def _damaged_tar(folder: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        member = tarfile.TarInfo("videos/0.mp4")
        member.size = 100
        archive.addfile(member, io.BytesIO(bytes(range(100))))
    content = bytearray(whole.getvalue())
    content[-6] ^= 1  # the checksum
    (folder / "a.tar.gz").write_bytes(content)


def _encrypted(folder: Path) -> None:
    _zip(folder / "a.zip")
    content = bytearray((folder / "a.zip").read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            content[start + place] |= 1
    (folder / "a.zip").write_bytes(content)


def _without_a_part(folder: Path) -> None:
    _tar(folder / "a.tar.gz")
    (folder / "a.tar.gz.part.001").unlink()


def _long_name(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(f"{'x' * 300}.mp4", b"x")


def _dangling(folder: Path) -> None:
    (folder / "a.mp4").symlink_to(folder / "gone")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_damaged_tar, r"a\.tar\.gz is damaged"),
        (_encrypted, r"a\.zip cannot be unpacked \(RuntimeError: .*(password|encrypted)"),
        (_without_a_part, r"a\.tar\.gz lacks part 1 of 0 to"),
        (_long_name, r"a\.zip holds a name that is too long"),
        (_dangling, r"a\.mp4 is a link that leads nowhere"),
    ],
)
def test_what_cannot_be_unpacked_is_one_line(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    spoil(folder)
    with pytest.raises(WinnowError, match=message) as error:
        unpack(folder, tmp_path / "media")
    assert "\n" not in str(error.value)
    assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    with zipfile.ZipFile(tmp_path / "snapshot/bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.mp4", bytes(30 << 20))
    with pytest.raises(WinnowError, match=r"holds 'zeros\.mp4', 31457280 bytes out of \d+: no video packs like that"):
        unpack(tmp_path / "snapshot", tmp_path / "media")
    assert not list((tmp_path / "media").rglob("*.mp4"))


def test_what_the_disk_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "snapshot").mkdir()
    with zipfile.ZipFile(tmp_path / "snapshot/all.zip", "w") as archive:
        archive.writestr("one.mp4", bytes(1000))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 999}))
    with pytest.raises(WinnowError, match=r"'one\.mp4' of an archive has 1000 bytes, and .* has room for 999"):
        unpack(tmp_path / "snapshot", tmp_path / "media")
