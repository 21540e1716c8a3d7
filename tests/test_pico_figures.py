"""The program that writes pico's figures: it knows every method, and every block that it writes is there."""

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository, from which the program's modules can be imported."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    return ROOT


def test_what_is_said_of_methods_is_said_of_some(program: Path) -> None:
    from scripts.figures.methods import ASKED, BY_LAYER, EARLIEST, LEFT_OUT, OWN_RATIOS, UNASKED
    from scripts.figures.runs import CONTROLS
    from winnow.reducers.core.registry import METHODS

    assert {*OWN_RATIOS, *BY_LAYER, *EARLIEST} <= set(ASKED)
    assert sorted([*ASKED, *UNASKED, *CONTROLS, *LEFT_OUT]) == sorted(METHODS)


def test_every_block_has_a_place_and_every_part_a_lane(program: Path) -> None:
    from scripts.figures.pages import BLOCK
    from scripts.pico_figures import LANES, PARTS

    assert sorted(part for lane in LANES for part in lane) == sorted(PARTS)
    blocks = [(page, name) for part in PARTS.values() for page, name, _ in part.blocks]
    for page, name in blocks:
        text = (program / page).read_text(encoding="utf-8")
        assert text.count(BLOCK.partition("\n")[0].format(name)) == 1, (page, name)
    for page in {page for page, _ in blocks}:
        text = (program / page).read_text(encoding="utf-8")
        assert text.count("made by scripts/pico_figures.py:") == sum(where == page for where, _ in blocks)


def test_a_block_is_replaced_alone(program: Path, tmp_path: Path) -> None:
    from scripts.figures.pages import BLOCK, write_block

    page = tmp_path / "page.md"
    page.write_text(f"above\n{BLOCK.format('a', 'old')}\nbetween\n{BLOCK.format('a b', 'kept')}\n")
    write_block(page, "a", ["| new |", r"\\n"])
    text = page.read_text()
    assert "old" not in text and "| new |\n\\\\n" in text and "kept" in text and text.startswith("above\n")
    with pytest.raises(SystemExit, match="has 0 blocks 'c', one is wanted"):
        write_block(page, "c", [])


@pytest.mark.parametrize(
    ("where", "layer"), [("k=4", 4), ("l1=5 l2=8", 5), ("cuts=(2, 3, 4)", 2), ("start=12 end=14 interval=1", 12)]
)
def test_the_first_layer_is_read_behind_the_name(program: Path, where: str, layer: int) -> None:
    from scripts.figures.methods import _first

    assert _first(where) == layer


def test_another_seed_stands_beside_the_shipped_weights(program: Path, tmp_path: Path) -> None:
    from scripts.figures import spread
    from scripts.figures.instrument import TOPICS
    from scripts.figures.runs import Store

    def run(reducer: str, asked: str, mean: float, task: str = "pico_video", **knobs: object) -> dict[str, Any]:
        figure = {"task": task, "mean": mean, "low": mean - 1, "high": mean + 1}
        return {"reducer": reducer, "asked": asked, "knobs": knobs, "tasks": [figure]}

    def runs(mean: float) -> list[dict[str, Any]]:
        topics = [run("none", "", mean, f"pico_{topic}") for topic in (*TOPICS, "film")]
        looks = [run("random", "0.1", mean - 60), run("oracle", "0.1", mean - 1), run("fastv", "0.25", mean - 10)]
        replays = [run("random", "0.1", 0, like="0123"), run("oracle", "0.1", 0, select="lowest")]
        return topics + looks + replays

    class Stored(Store):
        def results(self, section: str) -> Any:
            return {"methods": runs(99), "spread-pico-1-weights": runs(97)}.get(section, [])

    table = [*spread.rows(Stored(tmp_path, other=tmp_path / "pico-1" / "weights"))]
    assert table[2] == "| video, all visual tokens | 99.0 ± 1.0 | 97.0 ± 1.0 |"
    assert table[-3:] == [
        "| video, 10 % at random | 39.0 ± 1.0 | 37.0 ± 1.0 |",
        "| video, 10 %, the asked things first (`oracle`) | 98.0 ± 1.0 | 96.0 ± 1.0 |",
        "| video, FastV at 25 % | 89.0 ± 1.0 | 87.0 ± 1.0 |",
    ]
    with pytest.raises(SystemExit, match="shipped weights' runs are not stored"):
        next(spread.rows(Store(tmp_path, other=tmp_path / "pico-1" / "weights")))
