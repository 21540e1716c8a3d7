"""The program that writes pico's figures: it knows every method, and every block that it writes is there."""

import sys
from pathlib import Path

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
