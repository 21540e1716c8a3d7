"""The pico benchmark: files on disk and lmms-eval tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from winnow.harness.tasks.pico import data
from winnow.harness.tasks.pico.utils import process_results
from winnow.models.pico.items import MEDIA, SEEDS, draw_item
from winnow.models.pico.shots import LENGTHS
from winnow.models.pico.world import FRAMES, GRID, SIZE

COLUMNS = ["id", "question", "answer", "type", "relevance"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Write a small benchmark into a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("WINNOW_CACHE", str(cache))
        patch.setenv("HF_DATASETS_CACHE", str(cache / "datasets"))
        patch.setattr(data.write_split, "__defaults__", (12,))
        yield data.ensure(topics=list(SEEDS))


def rows(folder: Path, topic: str, split: str) -> list[dict[str, Any]]:
    """Read the rows of a task."""
    return pq.read_table(folder / topic / f"{split}.parquet").to_pylist()


@pytest.mark.parametrize("topic", SEEDS)
@pytest.mark.parametrize("split", ["dev", "test"])
def test_rows(folder: Path, topic: str, split: str) -> None:
    """Types take turns, media exist, and relevance covers the visual span."""
    found = rows(folder, topic, split)
    medium = "image" if topic == "image" else "video"
    assert len(found) == 12
    assert sorted(found[0]) == sorted([*COLUMNS, medium])
    frames = LENGTHS[MEDIA[topic]]
    for row in found:
        assert (folder / row[medium]).stat().st_size > 0
        assert len(row["relevance"]) == frames * GRID * GRID
        assert any(row["relevance"]) or row["answer"] == "no"
    types = [row["type"] for row in found]
    assert topic == "second" or types[: len(set(types))] * (12 // len(set(types))) == types
    assert len({row[medium] for row in found}) == (6 if topic == "second" else 12)


def test_splits_differ(folder: Path) -> None:
    """No video of one split is in the other."""
    media = [{path.read_bytes() for path in folder.glob(f"*/{split}/*")} for split in ("dev", "test")]
    assert not media[0] & media[1]


def test_videos_decode_to_what_was_drawn(folder: Path) -> None:
    """Decord finds eight frames, close to those that were drawn."""
    decord = pytest.importorskip("decord")
    for index in range(3):
        decoded = decord.VideoReader(str(folder / "video" / "test" / f"{index:04d}.mp4"))[:].asnumpy()
        assert decoded.shape == (FRAMES, SIZE, SIZE, 3)
        rng, shot, _ = draw_item("video", "test", index)
        drawn = shot.render(rng)[0]
        assert np.abs(decoded.astype(float) - drawn).mean() < 3


def test_writing_twice_is_a_no_op(folder: Path) -> None:
    """A second process finds the work done and leaves no draft behind."""
    before = (folder / "video/test.parquet").stat().st_mtime_ns
    assert data.ensure() == folder
    assert (folder / "video/test.parquet").stat().st_mtime_ns == before
    assert {path.name for path in folder.iterdir()} == set(SEEDS)
    assert [path.name for path in folder.parent.iterdir()] == [data.VERSION]


def test_unknown_task_is_refused(folder: Path) -> None:
    """The error names the known tasks."""
    with pytest.raises(ValueError, match="pico_video_dev"):
        data.override("pico_sound")


@pytest.mark.parametrize(("answer", "score"), [("red", 1.0), (" Red.", 1.0), ("a red", 0.0), ("", 0.0)])
def test_scoring(answer: str, score: float) -> None:
    """One word counts, whatever its case or final stop."""
    doc = {"answer": "red", "type": "color"}
    assert process_results(doc, [answer]) == {"pico_accuracy": score, "pico_color": score}


@pytest.mark.parametrize("answer", ["B", "b.", " (B)"])
def test_letters_are_read_with_their_signs(answer: str) -> None:
    assert process_results({"answer": "B", "type": "letter"}, [answer])["pico_letter"] == 1


@pytest.mark.parametrize("split", ["test", "dev"])
@pytest.mark.parametrize("topic", SEEDS)
def test_lmms_eval_scores_known_answers(folder: Path, topic: str, split: str) -> None:
    """A model that answers "yes" to everything gets the share of questions whose answer it is."""
    pytest.importorskip("lmms_eval")
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    manager = TaskManager("WARNING", include_defaults=False, include_path=[str(data.TASKS)])
    task = data.task_name(topic, split)
    result = simple_evaluate(model=_yes_sayer(), tasks=[data.override(task)], task_manager=manager)
    found = rows(folder, topic, split)
    scores = result["results"][task]
    assert scores["pico_accuracy,none"] == pytest.approx(np.mean([row["answer"] == "yes" for row in found]))
    for kind in {row["type"] for row in found}:
        own = [row["answer"] == "yes" for row in found if row["type"] == kind]
        assert scores[f"pico_{kind},none"] == pytest.approx(np.mean(own))


def _yes_sayer() -> Any:
    """Build an lmms-eval model that checks its visuals and says yes."""
    from lmms_eval.api.model import lmms

    class YesSayer(lmms):
        def generate_until(self, requests: list[Any]) -> list[str]:
            for request in requests:
                prompt, _, visual, index, task, split = request.args
                (medium,) = visual(self.task_dict[task][split][index])
                assert "?" in prompt
                assert medium.size == (SIZE, SIZE) if "image" in task else Path(medium).exists()
            return ["yes"] * len(requests)

        def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
            raise NotImplementedError

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            raise NotImplementedError

        def clean(self) -> None:
            """Let lmms-eval collect no garbage, which takes as long as the rest."""

    return YesSayer()
