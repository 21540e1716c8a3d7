"""What a model's YAML says of its shapes is what the Hugging Face classes are, and its cost is what torch counts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from winnow.harness.config.choices import options
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import ModelConfig
from winnow.harness.cost import LLMShape, physical
from winnow.harness.cost.op import Op
from winnow.harness.cost.vision import Linear, TowerShape, projector_from, projector_ops, tower_ops
from winnow.harness.plan.nominal import model_spec, vision_tower
from winnow.models.families import FAMILIES, find_family
from winnow.models.families.arch import tiny
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load, random_config

MODELS = options("model")
PICTURE = 448


def config(name: str, **more: Any) -> ModelConfig:
    return replace(cell_from([f"model={name}", "model.weights=random"]).model, **more)


def test_every_family_is_covered() -> None:
    assert {config(name).family for name in MODELS} == set(FAMILIES)


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


def narrow(model: ModelConfig) -> dict[str, Any]:
    full = model.arch["vision"]
    arch = tiny(model.arch, full["image"])
    return arch | {"vision": arch["vision"] | {"patch": full["patch"]}}


def projectors(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that take features to the LLM's width, by name."""
    called = {name: module for name, module in model.named_modules() if not isinstance(module, nn.ModuleList)}
    named = {name: module for name, module in called.items() if "projector" in name or "merger" in name}
    return {name: module for name, module in named.items() if not any(name.startswith(f"{other}.") for other in named)}


def linears(modules: Iterable[nn.Module]) -> list[tuple[int, int]]:
    found = [inner for module in modules for inner in module.modules() if isinstance(inner, nn.Linear)]
    return [(inner.in_features, inner.out_features) for inner in found]


@pytest.fixture(scope="module", params=MODELS)
def counted(request: pytest.FixtureRequest) -> tuple[ModelConfig, Counted]:
    model = config(request.param, attn="eager", dtype="float32", device="cpu")
    arch = narrow(model)
    loaded = load(model_spec(replace(model, arch=arch)))
    frames = 2 * int(model.arch["vision"].get("temporal_patch", 1))
    video = np.zeros((frames, PICTURE, PICTURE, 3), dtype=np.uint8)
    inputs = loaded.family.encode(loaded.processor, [Prompt("what is this", videos=[video])])
    with torch.no_grad(), FlopCounterMode(display=False, depth=None) as counter:
        loaded.model(**inputs, use_cache=False, logits_to_keep=1)
    flops = {name: float(sum(ops.values())) for name, ops in counter.get_flop_counts().items()}
    root, modules = type(loaded.model).__name__, dict(loaded.model.named_modules())
    llm = next(name for name, module in modules.items() if module is loaded.family.parts(loaded.model).llm)
    projecting = projectors(loaded.model)
    rope = flops.get(f"{root}.{llm}.rotary_emb", 0)  # transformers 5.17 makes the angles by a product of matrices
    parts = {
        "rope": rope,
        "llm": flops[f"{root}.{llm}"] - rope,
        "head": flops[f"{root}.lm_head"],
        "projector": sum(flops.get(f"{root}.{name}", 0) for name in projecting),
    }
    parts["tower"] = flops["Global"] - sum(parts.values())
    vision: Any = loaded.model.config.vision_config
    tower = TowerShape.from_arch(arch["vision"], model.nominal.tokens_per_frame, model.has_cls)
    if "window" in model.arch["vision"]:  # a narrow model has windows of its own
        window = (vision.window_size // vision.patch_size) ** 2
        tower = replace(tower, window=window, full=tuple(vision.fullatt_block_indexes))
    count = sum(grid[0] for grid in inputs["video_grid_thw"].tolist()) if "video_grid_thw" in inputs else None
    count = count or next(v for k, v in inputs.items() if "pixel" in k).numel() // (3 * arch["vision"]["image"] ** 2)
    return model, Counted(arch, tower, count, inputs["input_ids"].shape[1], parts, linears(projecting.values()))


def products(ops: list[Op]) -> float:
    """FLOPs of the matrix products, all that torch counts."""
    return sum(op.flops for op in ops if not op.name.endswith(("norm", "add", "act", "softmax", "rope")))


def test_decoder_and_head(counted: tuple[ModelConfig, Counted]) -> None:
    _, found = counted
    shape = LLMShape.from_arch(found.arch)
    layer = products(physical.layer_ops(shape, found.tokens, attn="eager"))
    assert found.parts["llm"] == shape.layers * layer
    assert found.parts["head"] == pytest.approx(physical.head_op(shape).flops, rel=0.1)  # a few special tokens more


def test_tower(counted: tuple[ModelConfig, Counted]) -> None:
    _, found = counted
    assert found.parts["tower"] == products(tower_ops(found.tower, found.frames, attn="eager"))


def test_projector(counted: tuple[ModelConfig, Counted]) -> None:
    """Torch counts the narrow layers for the YAML's number of vectors."""
    model, found = counted
    layers = projector_from(model.arch)
    passes = [layer.tokens // layers[0].tokens for layer in layers]
    assert len(found.projectors) == sum(passes)
    narrowed = [Linear(layers[0].tokens, *size) for size in found.projectors]
    assert found.parts["projector"] == products(projector_ops(narrowed, found.frames))


@pytest.mark.parametrize("name", MODELS)
def test_projector_has_the_yamls_widths(name: str) -> None:
    """At full width, on the meta device."""
    model = config(name, device="meta")
    arch = model.arch | {"layers": 1}
    loaded = load(model_spec(replace(model, arch=arch)))
    layers = projector_from(model.arch)
    listed = [(layer.inputs, layer.outputs) for layer in layers for _ in range(layer.tokens // layers[0].tokens)]
    assert sorted(linears(projectors(loaded.model).values())) == sorted(listed)
