"""CLIP's text tower beside a model: what it reads is transformers' own, and each frame meets the text of its prompt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from winnow.models.check.cases import image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.text_tower import LENGTH, load_text_tower
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Span
from winnow.reducers.core.merger import told_by_tower
from winnow.reducers.core.reduction import View
from winnow.reducers.core.tower import TextMatch, Tower, TowerProbe
from winnow.reducers.trim import TRIM

HIDDEN, WIDE = 32, 24


@dataclass(frozen=True)
class Reader(Chooser):
    """Remembers what each token has to do with the text."""

    seen = []  # noqa: RUF012

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        return ((TextMatch("random"), tower.used),)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        self.seen.append(told_by_tower(view)[-1][span.positions])
        return torch.arange(len(tokens))[: self.count(view.site, span.grid, len(tokens))]


@pytest.fixture(scope="module")
def clip() -> Any:
    text = {"hidden_size": WIDE, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text |= {"vocab_size": len(byte_tokenizer()), "max_position_embeddings": 16, "eos_token_id": 2}
    vision = {"hidden_size": HIDDEN, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    torch.manual_seed(3)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDE)).eval()


@pytest.fixture(scope="module")
def checkpoint(clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random CLIP as it lies on a hub."""
    folder = tmp_path_factory.mktemp("clip")
    clip.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    yield
    load_text_tower.cache_clear()


@torch.no_grad()
def test_it_reads_and_looks_as_the_checkpoint_does(clip: Any, checkpoint: Path) -> None:
    """A long text in pieces of 16 padded with zeros, or cut off."""
    tower, text = load_text_tower(str(checkpoint), HIDDEN, "cpu"), "how many red circles are there ?"
    ids = byte_tokenizer()(text)["input_ids"]
    padded = torch.tensor(ids + [0] * (-len(ids) % 16)).view(-1, 16)
    mask = (torch.arange(padded.numel()) < len(ids)).long().view(-1, 16)
    pieces = clip.text_projection(clip.text_model(input_ids=padded, attention_mask=mask).pooler_output)
    assert len(pieces) == -(-len(ids) // 16) > 1 and torch.equal(tower.read(text, whole=True), pieces)
    short = clip.text_projection(clip.text_model(input_ids=torch.tensor([ids[:16]])).pooler_output)
    assert torch.allclose(tower.read(text, whole=False), short, atol=1e-6) and len(short) == 1
    features = torch.randn(5, HIDDEN)
    looked = clip.visual_projection(clip.vision_model.post_layernorm(features))
    assert torch.equal(tower.look(features.double()), looked) or torch.allclose(tower.look(features), looked)


def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=f"vision tower of width {HIDDEN}, but the model's has 64"):
        load_text_tower(str(checkpoint), 64, "cpu")
    with pytest.raises(WinnowError, match="is no folder"):
        load_text_tower(str(tmp_path / "none"), 32, "cpu")
    with pytest.raises(WinnowError, match=r"config\.json is missing"):
        load_text_tower(str(tmp_path), 32, "cpu")


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = load_text_tower("random", 32, "cpu").read("red", whole=True)
    assert torch.equal(torch.rand(3), expected) and len(first) == 1
    load_text_tower.cache_clear()
    again = load_text_tower("random", 32, "cpu")
    assert torch.equal(again.read("red", whole=True), first)
    assert not torch.allclose(again.read("blue", whole=True), first, atol=1e-3)
    assert len(again.read("x" * (LENGTH + 1), whole=True)) == 2


@torch.no_grad()
def seen(family: str, prompts: Sequence[Prompt], generate: bool = False, copies: int = 1) -> list[Tensor]:
    loaded: Any = tiny_model(family, "sdpa")
    Reader.seen.clear()
    inputs = loaded.encode(list(prompts))
    with attach(loaded.model, Reader(ratio=0.5), texts=[prompt.text for prompt in prompts]):
        if generate:
            loaded.model.generate(**inputs, max_new_tokens=2, do_sample=False, num_beams=copies, pad_token_id=0)
        else:
            loaded.model(**inputs)
    return list(Reader.seen)


@pytest.mark.parametrize("family", ["llava", "video_llava", "longva"])
def test_each_frame_meets_the_text_of_its_prompt(family: str) -> None:
    """In a batch whose prompts have unlike numbers of frames, by forward and by generate."""
    prompts = [video_prompt(), text_prompt(), video_prompt(4, "count ."), image_prompt(), image_prompt("what colour ?")]
    expected = [one for prompt in prompts for one in seen(family, [prompt])]
    found, generated = seen(family, prompts), seen(family, prompts, generate=True)
    assert len(expected) == len(found) == len(generated) == 4
    for alone, together, by_generate in zip(expected, found, generated, strict=True):
        assert torch.allclose(alone, together, atol=1e-5) and torch.allclose(alone, by_generate, atol=1e-5)
    assert not torch.allclose(expected[-1], expected[-2], atol=1e-4)  # one picture, two questions


def test_the_copies_of_beams_share_their_text() -> None:
    prompts = [image_prompt(), image_prompt("what colour ?")]
    (first, second), beams = seen("llava", prompts), seen("llava", prompts, generate=True, copies=2)
    assert torch.allclose(beams[0], first, atol=1e-5) and torch.allclose(beams[-1], second, atol=1e-5)


def test_what_it_says_is_what_transformers_computes(clip: Any, checkpoint: Path) -> None:
    """TRIM on LLaVA: the patches that go first are those most like the text, by the checkpoint's own modules."""
    loaded: Any = tiny_model("llava", "sdpa")
    features: list[Tensor] = []
    prompt, method = image_prompt(), TRIM(ratio=0.3, text_tower=str(checkpoint), extra=False, positions="keep")
    projector = loaded.family.parts(loaded.model).projector
    with torch.no_grad():
        handle = projector.register_forward_pre_hook(lambda module, args: features.append(args[0]))
        loaded.model(**loaded.encode([prompt]))
        handle.remove()
        with attach(loaded.model, method, texts=[prompt.text]) as trace:
            loaded.model(**loaded.encode([prompt]))
        looked = clip.visual_projection(clip.vision_model.post_layernorm(features[0][0]))
        ids = torch.tensor([byte_tokenizer()(prompt.text)["input_ids"][:16]])
        alike = (looked @ clip.text_projection(clip.text_model(input_ids=ids).pooler_output).T)[:, 0]
    kept = int(len(alike) * 0.3)
    expected = (-alike).sort(descending=True, stable=True).indices[:kept].sort().values
    (told,) = trace.prompts
    assert (told.last_layer >= 0).nonzero().flatten().tolist() == expected.tolist()


@torch.no_grad()
def test_calls_without_words_are_refused() -> None:
    loaded: Any = tiny_model("llava", "sdpa")
    inputs, method = loaded.encode([image_prompt()]), CDPruner(variant="clip", text_tower="random")
    with pytest.raises(WinnowError, match=r"texts=\[\.\.\.\]"), attach(loaded.model, method):
        loaded.model(**inputs)
    two, one = (attach(loaded.model, method, texts=texts) for texts in (["one", "two"], ["one"]))
    with pytest.raises(WinnowError, match="2 texts were given for a batch of 1"), two:
        loaded.model(**inputs)
    with pytest.raises(WinnowError, match="is one text"), attach(loaded.model, method, texts="one"):
        pass
    with one:
        again = inputs | {"attention_mask": inputs["attention_mask"].repeat(1, 2)}
        again[CACHE] = cache_of(loaded.model(**inputs))
        with pytest.raises(UnsupportedError, match="the text of the first turn"):
            loaded.model(**again)


def test_nobody_loads_it_who_does_not_ask() -> None:
    loaded: Any = tiny_model("llava", "sdpa")
    with torch.no_grad(), attach(loaded.model, CDPruner(ratio=0.5)):
        loaded.model(**loaded.encode([image_prompt()]))
    assert load_text_tower.cache_info().misses == 0
