"""Second and last stage: the language model learns to answer, and to look for the answer in its middle layers.

Left alone, a model this small reads everything from the visual tokens in its first two layers; dropping tokens later
then costs nothing, whatever is dropped. Models in the wild read in middle layers. So in training, and only there, text
cannot attend to visual tokens in the first `depth` layers, and attention that it would pay there is penalised so that
the plain forward at inference behaves alike.
"""

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2Model, apply_rotary_pos_emb

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.questions import BOS, VIDEO_TYPES
from winnow.models.pico.training.muon import Trainer
from winnow.models.pico.training.packing import IGNORED, Pack, choose_tokens, full_length, pack, scene_labels
from winnow.models.pico.training.tower import normalize, patch_features, word_tokens
from winnow.models.pico.world import FRAMES, render, sample_scene

PREFIX = (TOKEN_IDS[BOS], TOKEN_IDS["user"])
_BLOCKED = -1e9


def answer_states(
    model: LlavaForConditionalGeneration, visual: Tensor, places: Tensor, text: Pack, frames: int, depth: int
) -> tuple[Tensor, Tensor]:
    """Run the language model on packed questions with the knock-out.

    Parameters
    ----------
    model
        Only its language model is used.
    visual
        Visual tokens after the projector, shape (batch, kept, width).
    places
        Their indices among the unreduced visual tokens, shape (batch, kept).
    text
        The questions.
    frames
        Frames of the unreduced prompt, which gives the text its positions.
    depth
        Number of layers, from the first, in which text does not see visual tokens.

    Returns
    -------
    states : torch.Tensor
        Final hidden states of the text, shape (batch, tokens, width).
    leak : torch.Tensor
        Attention that text would pay to visual tokens in one of the knocked-out layers, drawn at random; a scalar.
    """
    language: Qwen2Model = model.model.language_model
    prefix = torch.tensor(PREFIX).expand(len(visual), -1)
    hidden = torch.cat([language.embed_tokens(prefix), visual, language.embed_tokens(text.tokens)], 1)
    start, seen = len(PREFIX), len(PREFIX) + visual.shape[1]
    positions = torch.cat(
        [torch.arange(start).expand(len(visual), -1), start + places, start + full_length(frames) + text.positions], 1
    )
    mask = _block_mask(text.segments, seen)
    blind = mask.clone()
    blind[:, :, seen:, start:seen] = _BLOCKED
    rotary = language.rotary_emb(hidden, positions)
    probed = int(torch.randint(depth, ())) if depth else -1
    leak = torch.zeros(())
    for number, layer in enumerate(language.layers):
        if number == probed:
            leak = _visual_mass(layer, hidden, rotary, mask, (start, seen), text.segments > 0)
        hidden = layer(
            hidden,
            attention_mask=blind if number < depth else mask,
            position_ids=positions,
            position_embeddings=rotary,
        )
    return language.norm(hidden)[:, seen:], leak


def _block_mask(segments: Tensor, seen: int) -> Tensor:
    """Let text see the shared prefix and its own segment: additive mask (batch, 1, tokens, tokens)."""
    shared = torch.zeros(len(segments), seen, dtype=segments.dtype)
    number = torch.cat([shared, segments], 1)
    allowed = (number[:, None, :] == 0) | (number[:, None, :] == number[:, :, None])
    allowed &= torch.ones(number.shape[1], number.shape[1], dtype=torch.bool).tril()
    return torch.zeros(allowed.shape).masked_fill(~allowed, _BLOCKED)[:, None]


def _visual_mass(
    layer: Qwen2DecoderLayer,
    hidden: Tensor,
    rotary: tuple[Tensor, Tensor],
    mask: Tensor,
    span: tuple[int, int],
    real: Tensor,
) -> Tensor:
    """Return the mean attention mass that real text tokens would pay to the visual span in a layer."""
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    query, key = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.q_proj, attention.k_proj)
    )
    query, key = apply_rotary_pos_emb(query, key, *rotary)
    key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    scores = query[:, :, span[1] :] @ key.mT * attention.scaling + mask[:, :, span[1] :]
    mass = scores.softmax(-1)[..., span[0] : span[1]].sum(-1).mean(1)
    return torch.as_tensor((mass * real).sum() / real.sum())


class Score:
    """Running accuracy of training answers per question type."""

    def __init__(self) -> None:
        self.right: defaultdict[str, list[bool]] = defaultdict(list)

    def add(self, kinds: Tensor, right: Tensor, prefix: str) -> None:
        """Record answers; `kinds` and `right` have the same shape, kind -1 is no answer."""
        for kind, hit in zip(kinds.tolist(), right.tolist(), strict=True):
            if kind >= 0:
                self.right[prefix + VIDEO_TYPES[kind]].append(hit)

    def flush(self) -> str:
        """Return the accuracies as one line and start afresh."""
        line = " ".join(f"{kind} {np.mean(hits):.2f}" for kind, hits in sorted(self.right.items()))
        self.right.clear()
        return line


def answer_loss(model: LlavaForConditionalGeneration, states: Tensor, text: Pack, score: Score, name: str) -> Tensor:
    """Return the weighted cross entropy of the text and record which answers are right."""
    chosen = text.targets != IGNORED
    logits, targets, weights = model.lm_head(states[chosen]), text.targets[chosen], text.weights[chosen]
    score.add(text.kinds[chosen], logits.argmax(-1) == targets, name)
    each = F.cross_entropy(logits, targets, reduction="none")
    return torch.as_tensor((each * weights).sum() / weights.sum())


def train_words(
    model: LlavaForConditionalGeneration,
    rng: np.random.Generator,
    steps: int,
    depth: int = 4,
    batch: int = 12,
    penalty: float = 2.0,
) -> float:
    """Train the language model on ideal visual tokens, in place.

    Returns
    -------
    float
        Loss of the last step.
    """
    trainer = Trainer((model.model.language_model,), steps)
    score, loss = Score(), torch.zeros(())
    noise = 0.3 * model.config.text_config.initializer_range
    for step in range(1, steps + 1):
        loss = torch.zeros(())
        for frames, budget, name in ((FRAMES, 40 if trainer.progress < 0.7 else 80, "v-"), (1, 12, "i-")):
            scenes = [sample_scene(rng, frames) for _ in range(batch)]
            labels = np.stack([scene_labels(scene, frames) for scene in scenes])
            kept = choose_tokens(rng, labels, budget)
            visual = word_tokens(model, torch.from_numpy(np.take_along_axis(labels, kept[..., None], 1)))
            visual = visual + noise * torch.randn_like(visual)
            text = pack(rng, scenes, frames, *((8, 1) if frames > 1 else (4, 1)))
            states, leak = answer_states(model, visual, torch.from_numpy(kept), text, frames, depth)
            loss = loss + answer_loss(model, states, text, score, name) + penalty * leak
        trainer.step(loss)
        if step % 50 == 0:
            print(f"words {step}: loss {loss.item():.3f} leak {leak.item():.3f} | {score.flush()}", flush=True)
    return loss.item()


def train_joint(
    model: LlavaForConditionalGeneration,
    rng: np.random.Generator,
    steps: int,
    depth: int = 4,
    batch: int = 8,
    penalty: float = 2.0,
    rates: tuple[float, float] = (2e-3, 1e-3),
) -> float:
    """Train projector and language model on rendered scenes, in place; the tower stays as it is.

    Returns
    -------
    float
        Loss of the last step.
    """
    projector = model.model.multi_modal_projector
    trainer = Trainer((projector, model.model.language_model), steps, rates)
    score, loss = Score(), torch.zeros(())
    for step in range(1, steps + 1):
        loss = torch.zeros(())
        budget = 60 if trainer.progress < 0.4 else 100 if trainer.progress < 0.7 else full_length()
        for frames, name in ((FRAMES, "v-"), (1, "i-")):
            scenes = [sample_scene(rng, frames) for _ in range(batch)]
            labels = np.stack([scene_labels(scene, frames) for scene in scenes])
            kept = choose_tokens(rng, labels, budget if frames > 1 else full_length(1))
            pixels = normalize(np.concatenate([render(rng, scene, frames)[0] for scene in scenes]))
            features = patch_features(model, pixels).unflatten(0, (batch, frames)).flatten(1, 2)
            places = torch.from_numpy(kept)
            visual = projector(features.gather(1, places[..., None].expand(-1, -1, features.shape[-1])))
            text = pack(rng, scenes, frames, *((8, 1) if frames > 1 else (4, 1)))
            states, leak = answer_states(model, visual, places, text, frames, depth)
            loss = loss + answer_loss(model, states, text, score, name) + penalty * leak
        trainer.step(loss)
        if step % 50 == 0:
            print(f"joint {step}: loss {loss.item():.3f} leak {leak.item():.3f} | {score.flush()}", flush=True)
    return loss.item()
