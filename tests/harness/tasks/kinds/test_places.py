"""Boxes and spans of time, by hand."""

import pytest

from winnow.harness.tasks.kinds import boxes, spans

QUARTER = (0.25, 0.25, 0.75, 0.75)
GRIDS = [(1, 10, 20)]
"""One picture of 10 x 20 tokens: 280 x 560 pixels."""


@pytest.mark.parametrize(
    ("answer", "family"),
    [
        ("[0.25, 0.25, 0.75, 0.75]", "llava"),
        ("The box is (0.25,0.25), (0.75, 0.75).", "llava"),
        ("[0.75, 0.75, 0.25, 0.25]", "llava"),  # mirrored
        ("x1: 0.25, y1: 0.25, x2: 0.75, y2: 0.75", "llava"),
        ("(250,250),(750,750)", "qwen2_vl"),
        ("<box>[[250, 250, 750, 750]]</box>", "internvl"),
        ('```json\n[{"bbox_2d": [140, 70, 420, 210], "label": "one"}]\n```', "qwen2_5_vl"),
        ("[0.25, 0.25, 0.75, 0.75]", "qwen2_5_vl"),  # as the prompt asks
        ("<think>[1, 2, 3, 4]</think>[250, 250, 750, 750]", "qwen3_vl"),
    ],
)
def test_a_box_in_every_family_s_scale(answer: str, family: str) -> None:
    assert boxes.box_of(answer, family, GRIDS) == pytest.approx(QUARTER)
    assert boxes.box_of(boxes.as_asked(answer, family, GRIDS)) == pytest.approx(QUARTER)


@pytest.mark.parametrize("answer", ["", "nowhere", "[1, 2, 3]", "[250, 250, 750, 750]"])
def test_no_box(answer: str) -> None:
    """Thousandths of a family that does not write them are far beyond the picture."""
    assert boxes.box_of(answer, "llava", GRIDS) is None and boxes.as_asked(answer, "llava", GRIDS) == ""


def test_how_boxes_fit() -> None:
    # A quarter of the truth's area overlaps: 1/16 of 1/4 + 1/4 - 1/16. Without a box, no centre, not even at (0, 0).
    corner = {"bbox": [0.0, 0.0, 0.2, 0.4]}
    asked = [
        ({"bbox": list(QUARTER)}, "[0.25, 0.25, 0.75, 0.75]", 1.0),
        ({"bbox": list(QUARTER)}, "[0.5, 0.5, 1, 1]", 0.0),
        (corner, "", 0.0),
    ]
    found = boxes.fits(asked)
    assert found["IoU"] == pytest.approx(100 * (1 + 1 / 7) / 3)
    assert [found[f"ACC@{level}"] for level in (0.1, 0.3, 0.5, 0.9)] == pytest.approx([200 / 3, *[100 / 3] * 3])
    assert found["centre"] == pytest.approx(200 / 3)
    assert [tuple(boxes.boxed(None, answer, doc))[:2] for doc, answer, _ in asked] == [(1, True), (0, True), (0, False)]
    assert boxes.overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0


@pytest.mark.parametrize(
    ("answer", "span"),
    [
        ("3.0 - 9.5 seconds", (3, 9.5)),
        ("The event happens in the 3 to 9.5.", (3, 9.5)),
        ("It starts at 3.0 seconds and ends at 9.5 seconds.", (3, 9.5)),
        ("[3, 9.5]", (3, 9.5)),
        ("from 00:03 to 00:09.5", (3, 9.5)),
        ("0:00:03 – 0:01:09", (3, 69)),
        ("9.5s-3s", (3, 9.5)),
        ("Start time: 3\nEnd time: 9.5", (3, 9.5)),
        ("Between 3s and 9.5s.", (3, 9.5)),
        ("at 3 seconds", None),
        ("3; 4; 5", None),
        ("never", None),
    ],
)
def test_spans_are_read(answer: str, span: tuple[float, float] | None) -> None:
    assert spans.span_of(answer) == span


def test_how_spans_fit() -> None:
    doc, told = {"timestamp": [0.0, 4.0]}, {"timestamp": "[2.0, 6.0]"}
    asked = [(doc, "0 - 4", 1.0), (told, "4 - 6", 1.0), (doc, "?", 0.0)]
    found = spans.fits(asked)
    assert found == pytest.approx({"mIoU": 50, "R@0.3": 200 / 3, "R@0.5": 200 / 3, "R@0.7": 100 / 3})
    assert [tuple(spans.timed(None, said, one))[:2] for one, said, _ in asked] == [(1, True), (1, True), (0, False)]
