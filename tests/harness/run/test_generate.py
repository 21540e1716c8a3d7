"""The small pure parts of answering."""

import pytest

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.document import Document
from winnow.harness.run.answer import batches
from winnow.harness.run.generate import cut
from winnow.reducers.core.errors import WinnowError


def document(doc_id: int, **generation: int) -> Document:
    return Document("task", doc_id, "?", list, generation, (), None, "print")


@pytest.mark.parametrize(
    ("text", "until", "expected"),
    [
        ("red", (), "red"),
        ("red\n\nblue", ("\n\n",), "red"),
        ("a. b; c", (";", "."), "a"),
        ("red", ("",), "red"),
        ("\n\nred", (), "\n\nred"),
    ],
)
def test_cut(text: str, until: tuple[str, ...], expected: str) -> None:
    assert cut(text, until) == expected


def test_batches_follow_document_order_and_settings() -> None:
    documents = [document(i, max_new_tokens=4 if i < 3 else 8) for i in range(8)]
    assert [[d.doc_id for d in batch] for batch in batches(documents, 2)] == [[0, 1], [2], [3, 4], [5, 6], [7]]
    assert list(batches([], 2)) == []


def test_first_line_of_errors() -> None:
    assert first_line(ValueError("one\ntwo")) == "ValueError: one"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(WinnowError("as it is")) == "as it is"


def test_root_cause_goes_through_what_was_raised_on_top() -> None:
    def outer() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise RuntimeError("second")  # noqa: B904

    with pytest.raises(RuntimeError) as error:
        outer()
    assert isinstance(root_cause(error.value), KeyError)
    hidden = RuntimeError("clear")
    hidden.__context__, hidden.__suppress_context__ = KeyError(), True
    assert root_cause(hidden) is hidden
