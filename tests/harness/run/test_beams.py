"""Several beams to a document: one answer, one row."""

from dataclasses import replace

from winnow.harness.data.document import Document
from winnow.harness.run.generate import answer, encode
from winnow.models.check.cases import image_prompt, tiny_model
from winnow.reducers.fastv import FastV


def test_a_document_has_one_row_however_many_beams_it_took() -> None:
    loaded = tiny_model("llava", "sdpa")
    plain = [Document("task", i, "?", list, {"max_new_tokens": 3}, (), None, "print") for i in range(2)]
    prompts = [image_prompt(), image_prompt("red ?")]
    for beams in (1, 2, 3):
        documents = [replace(document, generation={"max_new_tokens": 3, "num_beams": beams}) for document in plain]
        rows = answer(loaded, FastV(ratio=0.3), encode(loaded, documents, prompts), seed=0)
        assert [row.doc_id for row in rows] == [0, 1]
        assert [row.visual_per_layer[-1] for row in rows] == [8, 8]
