"""What a model's YAML says of its shapes is what the Hugging Face classes are, and its cost is what torch counts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from typing import Any, cast

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.gemma4.modeling_gemma4 import Gemma4TextModel

from winnow.harness.config.choices import listed, options
from winnow.harness.config.downsample import downsample
from winnow.harness.config.schema import DownsampleConfig, ModelConfig
from winnow.harness.cost import LLMShape, kv_bytes, physical
from winnow.harness.cost.decode import step_op
from winnow.harness.cost.experts import Experts
from winnow.harness.cost.memory import weight_bytes
from winnow.harness.cost.op import Op
from winnow.harness.cost.vision import Linear, TowerShape, projector_from, projector_ops, tower_ops
from winnow.harness.plan.nominal import model_spec, vision_tower
from winnow.models.families import FAMILIES, SINCE, find_family, missing
from winnow.models.families.arch import tiny
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load, random_config

MODELS = options("model")
LAST_ALONE = hasattr(Gemma4TextModel, "_maybe_slice_kv_shared_inputs")
"""Whether Gemma 4's last layers are passed by a prompt's last token alone."""
PICTURE = (448, 448)
PICTURES = {"gemma4": (336, 480), "gemma4_e": (336, 480)}
"""Pictures that have as many tokens as the YAML says, divided by `DIVIDED`, where it says the most of any shape."""
DIVIDED = {"gemma4": 4, "gemma4_e": 4}


@cache
def written(name: str) -> ModelConfig:
    """From its file alone: composing all models would take ten seconds."""
    merged = OmegaConf.merge(ModelConfig, listed("model", name) | {"weights": "random"})
    return cast(ModelConfig, OmegaConf.to_object(merged))


def config(name: str, **more: Any) -> ModelConfig:
    return replace(written(name), **more)


def test_every_family_is_covered() -> None:
    assert {config(name).family for name in MODELS} == set(FAMILIES) | set(filter(missing, SINCE))


@pytest.mark.parametrize("scale", ["full", "tiny"])
@pytest.mark.parametrize("name", MODELS)
def test_the_tower_that_methods_see_is_the_familys(name: str, scale: str) -> None:
    model = config(name, scale=scale)
    family = find_family(model.family)
    assert vision_tower(model) == family.tower(random_config(family, model_spec(model)))


@dataclass(frozen=True)
class Counted:
    """What torch counts in one prefill of a narrow model with the full model's pictures and patches."""

    arch: dict[str, Any]
    tower: TowerShape
    frames: int
    tokens: int
    parts: dict[str, float]
    projectors: list[tuple[int, int]]


def narrow(full: dict[str, Any]) -> dict[str, Any]:
    vision = full["vision"]
    arch = tiny(full, vision["image"])
    kept = {name: vision[name] for name in ("patch", "shuffle", "pool") if name in vision}
    layers = full.get("full_every", 2) + 1  # as many as have deepstack, and of each kind in a hybrid
    layers = arch["layers"] if "shared_layers" in arch else layers
    return arch | {"layers": layers, "vision": arch["vision"] | kept}


def projectors(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that take features to the LLM's width, by name."""
    called = {name: module for name, module in model.named_modules() if not isinstance(module, nn.ModuleList)}
    words = ("projector", "merger", "connector", "downsample", "embed_vision")
    named = {name: module for name, module in called.items() if any(word in name for word in words)}
    named = {name: module for name, module in named.items() if "vit_merger" not in name}  # half way up the tower
    return {name: module for name, module in named.items() if not any(name.startswith(f"{other}.") for other in named)}


def linears(modules: Iterable[nn.Module]) -> list[tuple[int, int]]:
    """Inputs and outputs of each: a convolution without overlap takes all values under its kernel, a bare matrix has
    its inputs first.
    """
    found = []
    for module in (inner for outer in modules for inner in outer.modules()):
        matrices = [weight for weight in module.parameters(recurse=False) if weight.ndim > 1]
        turned = isinstance(module, nn.Linear | nn.Conv2d)
        found += [(w[0].numel(), len(w)) if turned else (len(w), w[0].numel()) for w in matrices]
    return found


def distinct() -> list[str]:
    """The first of the models that are the same once they are narrow; from their files, as all tests are collected."""
    return sorted({_shape_of(listed("model", name)): name for name in MODELS[::-1]}.values())


def _shape_of(model: dict[str, Any]) -> str:
    """What the counts of a model depend on: of its projector the vectors that pass, its widths being narrow too."""
    passing = [row["tokens"] for row in model["arch"]["projector"]]
    return repr((model["family"], narrow(model["arch"]) | {"projector": passing}, model["nominal"]))


@pytest.fixture(scope="module", params=distinct())
def counted(request: pytest.FixtureRequest) -> tuple[ModelConfig, Counted]:
    model = config(request.param, attn="eager", dtype="float32", device="cpu")
    if model.family == "gemma4_e" and not LAST_ALONE:
        pytest.skip("transformers 5.17 lets all tokens of a prompt pass the layers that read keys of others")
    model = downsample(model, DownsampleConfig(pixels=DIVIDED.get(model.family, 1)))
    arch = narrow(model.arch)
    loaded = load(model_spec(replace(model, arch=arch)))
    if "experts" in arch:  # one by one, as torch counts nothing of grouped products
        cast(Any, loaded.model).set_experts_implementation("eager")
    for module in loaded.model.modules():
        if hasattr(module, "fused_attn"):  # timm's own, of which torch counts nothing on a CPU
            module.fused_attn = False
    frames = min(2, model.frames) * int(model.arch["vision"].get("temporal_patch", 1))
    video = np.zeros((frames, *PICTURES.get(model.family, PICTURE), 3), dtype=np.uint8)
    inputs = loaded.family.encode(loaded.processor, [Prompt("what is this", videos=[video])])
    with torch.no_grad(), FlopCounterMode(display=False, depth=None) as counter:
        loaded.model(**inputs, use_cache=False, logits_to_keep=1)
    flops = {name: float(sum(ops.values())) for name, ops in counter.get_flop_counts().items()}
    root, modules = type(loaded.model).__name__, dict(loaded.model.named_modules())
    llm = next(name for name, module in modules.items() if module is loaded.family.parts(loaded.model).llm)
    projecting = projectors(loaded.model)
    heads = 1 if "logits_to_keep" in signature(type(loaded.model).forward).parameters else inputs["input_ids"].shape[1]
    ropes = {name: made for name, made in flops.items() if name.endswith("rotary_emb")}
    parts = {
        "rope": sum(ropes.values()),  # transformers 5.17 makes the angles by a product of matrices
        "llm": flops[f"{root}.{llm}"] - ropes.get(f"{root}.{llm}.rotary_emb", 0),
        "head": flops[f"{root}.lm_head"] / heads,
        "projector": sum(flops.get(f"{root}.{name}", 0) for name in projecting),
    }
    parts["tower"] = flops["Global"] - sum(parts.values()) - (heads - 1) * parts["head"]
    vision: Any = loaded.model.config.vision_config
    tower = TowerShape.from_arch(arch["vision"], model.nominal.tokens_per_frame, model.has_cls)
    if "window" in model.arch["vision"]:  # a narrow model has windows of its own
        window = (vision.window_size // vision.patch_size) ** 2
        tower = replace(tower, window=window, full=tuple(vision.fullatt_block_indexes))
    sizes = [inputs[name] for name in ("video_grid_thw", "image_grid_thw") if name in inputs]
    count = sum(grid[0] for size in sizes for grid in size.tolist()) or len(inputs.get("target_sizes_videos", ()))
    pixels = next(value for name, value in inputs.items() if "pixel" in name)
    each = pixels[0].numel() if "image_position_ids" in inputs else 3 * arch["vision"]["image"] ** 2
    count = count or pixels.numel() // each
    return model, Counted(arch, tower, count, inputs["input_ids"].shape[1], parts, linears(projecting.values()))


def products(ops: list[Op]) -> float:
    """FLOPs of the matrix products, all that torch counts."""
    return sum(op.flops for op in ops if not op.name.endswith(("norm", "add", "act", "softmax", "rope", "solve")))


def test_decoder_and_head(counted: tuple[ModelConfig, Counted]) -> None:
    _, found = counted
    shape = LLMShape.from_arch(found.arch)
    shapes = map(shape.at, range(shape.layers))
    assert found.parts["llm"] == sum(products(physical.layer_ops(one, found.tokens, attn="eager")) for one in shapes)
    assert found.parts["head"] == pytest.approx(physical.head_op(shape).flops, rel=0.1)  # a few special tokens more


def test_tower(counted: tuple[ModelConfig, Counted]) -> None:
    _, found = counted
    assert found.parts["tower"] == products(tower_ops(found.tower, found.frames, attn="eager"))


def test_projector(counted: tuple[ModelConfig, Counted]) -> None:
    """Torch counts the narrow layers for the YAML's number of vectors."""
    model, found = counted
    layers = projector_from(model.arch, model.pixels)
    passes = [layer.tokens // layers[0].tokens for layer in layers]
    assert len(found.projectors) == sum(passes)
    patches = [layer.patches for layer, count in zip(layers, passes, strict=True) for _ in range(count)]
    sizes = zip(found.projectors, patches, strict=True)
    narrowed = [Linear(layers[0].tokens, *size, asked) for size, asked in sizes]
    assert found.parts["projector"] == products(projector_ops(narrowed, found.frames))


A3B = LLMShape.from_arch(config("qwen3_vl_30b_a3b").arch)


def test_a_mixture_is_counted_by_hand() -> None:
    """Qwen3-VL-30B-A3B, one layer, 16 bit: 8 of 128 experts of width 768, a router, no shared expert."""
    ops = {op.name: op for op in physical.layer_ops(A3B, 1000)}
    assert ops["router"].flops == 2 * 1000 * 2048 * 128
    assert ops["experts"].flops == 2 * 1000 * 8 * 3 * 2048 * 768 == 75_497_472_000
    one = {op.name: op for op in physical.layer_ops(A3B, 1)}
    assert one["experts"].weight == pytest.approx(2 * 8 * 3 * 2048 * 768)
    assert ops["experts"].weight == pytest.approx(2 * 128 * 3 * 2048 * 768)
    few = {op.name: op for op in physical.layer_ops(A3B, 16)}["experts"].weight / (2 * 3 * 2048 * 768)
    assert few == pytest.approx(128 * (1 - (15 / 16) ** 16)) and 82 < few < 83
    assert not {"gate_proj", "up_proj", "down_proj"} & set(ops)


def test_a_mixture_behind_a_dense_layer_is_counted_by_hand() -> None:
    """GLM-4.6V, 16 bit: a dense layer of width 10944, then 8 of 128 experts of 1408, a router, one for all."""
    shape = LLMShape.from_arch(config("glm46v").arch)
    first, later = ({op.name: op for op in physical.layer_ops(shape.at(layer), 100)} for layer in (0, 1))
    assert first["gate_proj"].flops == 2 * 100 * 4096 * 10944 and "experts" not in first
    assert later["experts"].flops == 2 * 100 * 8 * 3 * 4096 * 1408 and later["router"].flops == 2 * 100 * 4096 * 128
    assert later["gate_proj"].flops == later["down_proj"].flops == 2 * 100 * 4096 * 1408 and "shared_gate" not in later
    attention = 4096 * 128 * (2 * 96 + 2 * 8)
    mixture = 4096 * (128 + 3 * (128 + 1) * 1408)
    assert shape.parameters == 46 * attention + 3 * 4096 * 10944 + 45 * mixture
    assert shape.active_parameters == shape.parameters - 45 * 3 * 120 * 4096 * 1408


def test_experts_beside_a_dense_mlp_are_counted_by_hand() -> None:
    """Gemma 4 26B-A4B: in each layer an MLP of width 2112, and 8 of 128 experts of 704; 5 layers have wider heads."""
    shape = LLMShape.from_arch(config("gemma4_26b_a4b").arch)
    ops = {op.name: op.flops for op in physical.layer_ops(shape.at(0), 100)}
    assert ops["experts"] == 2 * 100 * 8 * 3 * 2816 * 704 and ops["router"] == 2 * 100 * 2816 * 128
    assert ops["gate_proj"] == ops["up_proj"] == ops["down_proj"] == 2 * 100 * 2816 * 2112 and "shared_gate" not in ops
    attention = 2816 * (25 * 256 * (2 * 16 + 2 * 8) + 5 * 512 * (2 * 16 + 2))
    assert shape.active_parameters == attention + 30 * 2816 * (128 + 3 * (8 * 704 + 2112))
    assert kv_bytes(shape, [2000] * 30) == 2 * 2 * (25 * 1024 * 8 * 256 + 5 * 2000 * 2 * 512)


def test_layers_that_read_keys_of_others_are_counted_by_hand() -> None:
    """Gemma 4 E2B at 16 bit, 400 tokens: the last 20 of 35 layers keep none, and of a prompt its last token passes."""
    shape = LLMShape.from_arch(config("gemma4_e2b").arch)
    first, own, reader = ({op.name: op for op in physical.layer_ops(shape.at(at), 400)} for at in (0, 1, 15))
    assert first["inputs_proj"].flops == 2 * 400 * 1536 * 35 * 256 and "inputs_proj" not in own
    assert own["input_gate"].flops == own["input_proj"].flops == 2 * 400 * 1536 * 256
    assert own["gate_proj"].flops == 2 * 400 * 1536 * 6144 and reader["gate_proj"].flops == 2 * 1536 * 12288
    assert "k_proj" not in reader and reader["q_proj"].flops == 2 * 1536 * 8 * 256
    assert reader["fused_attention"].flops == 400 * 8 * (2 * 2 * 256 + 5)
    assert kv_bytes(shape, [400] * 35) == 2 * 2 * 400 * (12 * 256 + 3 * 512)
    read = step_op(shape, [400] * 35).kv_load
    assert read == 2 * 2 * 400 * (28 * 256 + 7 * 512)
    tied = weight_bytes(shape, tied=True) / 2
    assert tied == shape.parameters + 1536 * 262144 + 262144 * 35 * 256 and shape.tables == 262144 * 35 * 256


def test_a_sliding_layer_keeps_its_window() -> None:
    """2000 tokens at 16 bit: 52 of Gemma 3's 62 layers keep 1024, 50 of Gemma 4's 60, whose others have other heads."""
    three, four = (LLMShape.from_arch(config(name).arch) for name in ("gemma3_27b", "gemma4_31b"))
    assert kv_bytes(three, [2000] * 62) == 2 * 2 * 16 * 128 * (52 * 1024 + 10 * 2000)
    assert kv_bytes(four, [2000] * 60) == 2 * 2 * (50 * 1024 * 16 * 256 + 10 * 2000 * 4 * 512)


def test_experts_that_tokens_meet_are_those_of_a_draw() -> None:
    """The expected number of distinct experts, against drawing them."""
    experts = Experts(16, 3, 8)
    for n in (1, 4, 20):
        chosen = torch.stack([torch.rand(4000, 16).topk(3).indices for _ in range(n)], 1).flatten(1)
        met = torch.zeros(4000, 16).scatter_(1, chosen, 1).sum(1).mean()
        assert float(met) == pytest.approx(experts.met(n), rel=0.02)


@pytest.mark.parametrize("shared", [0, 24])
def test_shared_experts_are_passed_by_every_token(shared: int) -> None:
    alone, both = Experts(16, 3, 8), Experts(16, 3, 8, shared)
    more = sum(op.flops for op in both.ops(32, 10, 2)) - sum(op.flops for op in alone.ops(32, 10, 2))
    assert more == (2 * 10 * 32 * (3 * shared + 1) if shared else 0)
    assert both.weights(32, 16) == 32 * (16 + 3 * 16 * 8) + 32 * (3 * shared + bool(shared))


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("qwen3_vl_2b", 1.4, 1.4),
        ("qwen3_vl_4b", 3.6, 3.6),
        ("qwen3_vl", 6.95, 6.95),
        ("qwen3_vl_32b", 31.2, 31.2),
        ("qwen3_vl_30b_a3b", 29.9, 2.7),
        ("qwen3_5_4b", 3.57, 3.57),
        ("qwen3_5", 6.92, 6.92),
        ("qwen3_5_35b_a3b", 33.6, 2.4),
        ("gemma4_31b", 29.3, 29.3),
        ("gemma4_26b_a4b", 24.5, 3.1),
        ("gemma4_e2b", 1.9, 1.9),
        ("glm46v", 105.6, 12.2),
    ],
)
def test_parameters_of_the_decoder_are_those_of_its_card(name: str, billions: float, active: float) -> None:
    """Without embeddings, as the cards of Qwen3 say; of 3.3 active billions 0.6 are embedding and head.

    Gemma 4's say 30.7 with an embedding of 1.4, 25.2, of which 3.8 act, with one of 0.7, and 2.3 with one of 0.4.
    """
    shape = LLMShape.from_arch(config(name).arch)
    assert shape.parameters / 1e9 == pytest.approx(billions, abs=0.06)
    assert shape.active_parameters / 1e9 == pytest.approx(active, abs=0.06)


@pytest.mark.parametrize("name", MODELS)
def test_projector_has_the_yamls_widths(name: str) -> None:
    """At full width, on the meta device."""
    model = config(name, device="meta")
    arch = model.arch | {"layers": 1, "shared_layers": 0}
    loaded = load(model_spec(replace(model, arch=arch)))
    layers = projector_from(model.arch)
    listed = [(layer.inputs, layer.outputs) for layer in layers for _ in range(layer.tokens // layers[0].tokens)]
    assert sorted(linears(projectors(loaded.model).values())) == sorted(listed)
