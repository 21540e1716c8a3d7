"""Real tokenizers and chat templates take the prompts of every task: what they make of pictures, ends and answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from released import RELEASED, made, qwen35_package

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.document import YES_NO, Document
from winnow.harness.data.documents import Tasks
from winnow.harness.run.confidence import beginnings
from winnow.harness.tasks.catalogue import BENCHMARKS
from winnow.harness.tasks.images import IMAGES
from winnow.harness.tasks.letters import LETTERS
from winnow.models.check.cases import image_prompt, video_prompt
from winnow.models.families.prompt import Prompt

pytestmark = pytest.mark.tokenizers
STILLS = {benchmark.task for benchmark in IMAGES}


@pytest.fixture(scope="module", params=RELEASED)
def release(request: pytest.FixtureRequest) -> tuple[str, Any, Any, Callable[..., Any]]:
    """A family's name, the family, its processor and what finds layouts."""
    return (request.param, *made(request.param))


@pytest.fixture(scope="session")
def documents(fixtures: Path) -> list[Document]:
    """Two questions of every benchmark."""
    tasks = Tasks(TasksConfig(name="all", tasks=list(BENCHMARKS), data=str(fixtures)))
    return [document for name in BENCHMARKS for document in tasks.documents(name, 2)]


def prompt_of(document: Document) -> Prompt:
    media = image_prompt() if document.task in STILLS else video_prompt()
    return Prompt(document.text, videos=media.videos, images=media.images)


def test_visual_tokens_are_the_placeholders_and_text_is_left_whole(release: Any, documents: list[Document]) -> None:
    """As many placeholders as the layout finds, and around them the words of the question, letter by letter."""
    name, family, processor, layouts = release
    told, tokenizer = RELEASED[name], processor.tokenizer
    places = {tokenizer.convert_tokens_to_ids(token) for token in (told.image, told.video)}
    for document in documents:
        inputs = family.encode(processor, [prompt_of(document)])
        ids = inputs["input_ids"][0]
        (layout,) = layouts(inputs)
        found = torch.isin(ids, torch.tensor(sorted(places)))
        inside = torch.cat([layout.visual, layout.separators]).sort().values
        assert len(layout.visual) and not set(found.nonzero().flatten().tolist()) - set(inside.tolist())
        assert bool(found[layout.visual].all())
        behind = tokenizer.decode(ids[int(layout.visual[-1]) + 1 :])
        assert document.text.strip() in behind


def test_a_prompt_ends_where_the_answer_begins(release: Any, documents: list[Document]) -> None:
    name, family, processor, _ = release
    (last,) = processor.tokenizer(RELEASED[name].last, add_special_tokens=False)["input_ids"]
    for document in documents[::5]:
        assert int(family.encode(processor, [prompt_of(document)])["input_ids"][0, -1]) == last


def test_prompts_begin_once(release: Any) -> None:
    """A template that writes the token that begins a text meets a tokenizer that writes it too."""
    _, family, processor, _ = release
    ids = family.encode(processor, [video_prompt(), image_prompt()])["input_ids"]
    begin = processor.tokenizer.bos_token_id
    assert begin is None or (ids == begin).sum(1).max() <= 1


def test_letters_and_words_of_answers_are_single_tokens(release: Any) -> None:
    """With a space before them or without; behind the prompt's end neither melts into it."""
    _, family, processor, _ = release
    tokenizer = processor.tokenizer
    text = tokenizer.decode(family.encode(processor, [Prompt("Which ?")])["input_ids"][0])
    for option in (*LETTERS, *YES_NO):
        known = set(beginnings(tokenizer, option).tolist())
        assert len(known) >= 2
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        for answer in (option, f" {option}"):
            assert known >= set(tokenizer(answer, add_special_tokens=False)["input_ids"])
        said = [tokenizer(text + answer, add_special_tokens=False)["input_ids"] for answer in (option, f" {option}")]
        assert any(ids[: len(whole)] == whole and set(ids[len(whole) :]) <= known for ids in said)


@pytest.mark.parametrize("release", ["qwen3_5"], indirect=True)
def test_a_converted_tokenizer_reads_as_the_one_that_it_was_converted_from(
    release: Any, documents: list[Document]
) -> None:
    """Qwen3.5's ranks, which its package hands to tiktoken: questions, prompts with marks, and other scripts."""
    _, family, processor, _ = release
    tokenizer, package = processor.tokenizer, qwen35_package()
    texts = [family.text(processor, prompt_of(document)) for document in documents]
    assert len(tokenizer) == 248044 + 33
    for text in [*texts, *(document.text for document in documents), "เกาะที่ ٣ 毕老师！ I'll\r\n  e\u0301"]:
        assert tokenizer(text)["input_ids"] == package.encode(text)
