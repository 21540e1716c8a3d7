"""Loading: every axis reaches transformers, and every faulty checkpoint is one clear line."""

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import BitsAndBytesConfig

from winnow import configs
from winnow.harness.data import hub
from winnow.models.check.cases import ARCH, BATCHES, Case, tiny_model, video_prompt
from winnow.models.engine import attach, reuse_tower
from winnow.models.loading import pretrained
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.models.transformers_api import cache_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import Cuts, First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.prumerge import PruMerge
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe

PUBLISHED = {
    "llava15": 7.06, "llava15_13b": 13.35, "llava_ov": 8.03, "llava_ov_05b": 0.894, "llava_next_video": 7.06,
    "llava_next": 7.06, "llava_next_13b": 13.35, "llava16_mistral": 7.57,
    "llava_video": 8.03, "internvl3": 7.94, "qwen2_vl": 8.29, "qwen2_5_vl": 8.29, "qwen3_vl": 8.77,
    "qwen3_vl_2b": 2.13, "qwen3_vl_4b": 4.44, "qwen3_vl_32b": 33.4, "qwen3_vl_30b_a3b": 31.1, "internvl3_5": 8.53,
    "smolvlm2_2b": 2.25, "smolvlm2_500m": 0.507, "glm4v_9b": 10.3,
    "gemma3_4b": 4.3, "gemma3_12b": 12.2, "gemma3_27b": 27.4, "gemma4_31b": 31.3, "glm46v": 107.7, "minicpmv4_6": 1.3,
    "molmo2_4b": 4.85, "gemma4_26b_a4b": 25.8, "gemma4_e2b": 5.1, "gemma4_e4b": 8.0,
    "perception_lm_1b": 1.23 + 0.30, "perception_lm_3b": 3.21 + 0.30, "perception_lm_8b": 8.03 + 1.88 * 47 / 50,
}  # fmt: skip
"""Billions of parameters, as the hub's pages round them; tied weights count once. PerceptionLM's round to 2, 4 and 10:
these are Llama's with those of the encoder, of which the largest runs 47 of 50 blocks. For PLLaVA, LongVA, VILA1.5 and
Video-LLaVA no such figure was at hand."""
SOUND = {"gemma4_e2b": 307e6, "gemma4_e4b": 309e6}
"""What checkpoints hold besides, and the YAML does not build: an encoder of sound as in transformers' defaults."""


def listed(name: str) -> dict[str, Any]:
    return yaml.safe_load((configs.FOLDER / "model" / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in (configs.FOLDER / "model").glob("*.yaml")))
def test_random_weights_of_every_yaml_have_the_published_size(name: str) -> None:
    node = listed(name)
    spec = ModelSpec(node["family"], node["repo"], "random", dtype="bfloat16", device="meta", arch=node["arch"])
    count = sum(p.numel() for p in load(spec).model.parameters()) + SOUND.get(name, 0)
    if name in PUBLISHED:
        assert abs(count / 1e9 / PUBLISHED[name] - 1) < 0.01
    assert count > 1e6


def test_a_package_that_a_family_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.models.loading.load.find_spec", lambda name: None)
    node = listed("perception_lm_1b")
    with pytest.raises(WinnowError, match="of the family perception_lm need the package timm: pip install timm"):
        load(ModelSpec(node["family"], node["repo"], "random", scale="tiny", device="cpu", arch=node["arch"]))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    made: Any = tiny_model("qwen3_vl", "sdpa")
    made.model.save_pretrained(folder)
    made.processor.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def spec_of(folder: Path, **changes: Any) -> ModelSpec:
    return replace(ModelSpec("qwen3_vl", "someone/qwen", str(folder), device="cpu", arch=ARCH), **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_a_saved_checkpoint_answers_as_before(checkpoint: Path) -> None:
    made, again = tiny_model("qwen3_vl", "sdpa"), load(spec_of(checkpoint))
    with torch.no_grad():
        before, after = (x.model(**x.family.encode(x.processor, [video_prompt()])).logits for x in (made, again))
    assert torch.equal(before, after)


def test_missing_weights_are_listed_and_never_drawn_at_random(copy: Path) -> None:
    state = weights(copy)
    gone = [key for key in state if "layers.1.mlp" in key]
    state = {key: value for key, value in state.items() if key not in gone} | {"model.typo.weight": torch.ones(1)}
    save_file(state, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WinnowError, match=r"^3 weights are missing from .*layers\.1\.mlp\.down_proj.*typo\.weight$"):
        load(spec_of(copy))


def test_weights_of_another_shape_are_listed(copy: Path) -> None:
    state = weights(copy) | {"model.language_model.norm.weight": torch.ones(3)}
    save_file(state, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(WinnowError, match=r"^1 weights have another shape in .*: model\.language_model\.norm\.weight$"):
        load(spec_of(copy))


def test_pickled_weights_are_refused(copy: Path) -> None:
    torch.save(weights(copy), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(WinnowError, match=r"pickled weights alone \(pytorch_model\.bin\).*safetensors first"):
        load(spec_of(copy))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12345678"), "are damaged .* get them again"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"holds no weights: \*\.safetensors is missing"),
        (lambda folder: (folder / "config.json").unlink(), "holds no checkpoint: config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot load .*config"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "cannot load"),
    ],
)
def test_damaged_folders_are_one_line(copy: Path, damage: Any, message: str) -> None:
    damage(copy)
    with pytest.raises(WinnowError, match=message) as caught:
        load(spec_of(copy))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=r"nowhere' is no folder: give an existing one, or model\.weights=random"):
        load(spec_of(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn": "flash_attention_2"}, "computes in half precision only: say model.dtype=bfloat16"),
        ({"attn": "flash_attention_2", "dtype": "bfloat16"}, "needs a CUDA GPU and the package flash-attn"),
        ({"attn": "magic"}, r"model\.attn=magic is not known: choose sdpa \| eager"),
        ({"scale": "huge"}, r"model\.scale=huge is not known: choose full \| tiny"),
        ({"dtype": "auto"}, r"model\.dtype=auto is not known: choose float32"),
        ({"device": "gpu"}, r"model\.device=gpu is not known: did you mean cuda\? choose auto \| cpu"),
        ({"device": "cuda"}, "torch finds no CUDA GPU here"),
        ({"quant": "int3"}, r"model\.quant=int3 is not known: choose null \| bnb-int8"),
        ({"quant": "bnb-int8"}, r"needs the package bitsandbytes: pip install bitsandbytes, or model\.quant=null"),
        ({"quant": "torchao-int4"}, "needs the package torchao: pip install torchao"),
        ({"quant": "bnb-nf4", "weights": "random"}, r"model\.quant=bnb-nf4 is for checkpoints"),
        ({"device": "spread", "weights": "random"}, r"model\.device=spread is for checkpoints"),
        ({"trust_remote_code": "other/repo"}, r"trust_remote_code=other/repo is not what is loaded: name '.*' itself"),
    ],
)
def test_axes_are_refused_in_one_line(
    checkpoint: Path, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(WinnowError, match=message):
        load(spec_of(checkpoint, **changes))


def test_a_pixel_cap_on_pictures_of_one_size_is_refused() -> None:
    spec = ModelSpec("llava", "", "random", "tiny", arch=ARCH, device="cpu", max_pixels=200704)
    with pytest.raises(WinnowError, match=r"model\.max_pixels=200704 has no meaning for llava"):
        load(spec)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the model is asked of transformers with."""
    seen: dict[str, Any] = {}

    def from_pretrained(source: str, **options: Any) -> Any:
        seen.update(options, source=source)
        raise OSError("stop here")

    monkeypatch.setattr(pretrained.AutoModelForImageTextToText, "from_pretrained", from_pretrained)
    return seen


def test_safe_defaults_and_axes_reach_transformers(checkpoint: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(WinnowError, match="stop here"):
        load(spec_of(checkpoint, dtype="bfloat16", attn="eager", revision="v2"))
    assert asked["use_safetensors"] is True and asked["trust_remote_code"] is False
    assert (asked["dtype"], asked["attn_implementation"], asked["revision"]) == (torch.bfloat16, "eager", "v2")
    assert "quantization_config" not in asked and "device_map" not in asked


def test_remote_code_runs_where_the_repository_is_named(checkpoint: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(WinnowError, match="stop here"):
        load(spec_of(checkpoint, trust_remote_code=str(checkpoint)))
    assert asked["trust_remote_code"] is True


def test_code_of_its_own_is_refused_with_the_way_to_allow_it() -> None:
    with pytest.raises(WinnowError, match=r"allow it by model\.trust_remote_code=a/b"), pretrained.one_line("a/b"):
        raise ValueError("The repository a/b contains custom code.\nPass `trust_remote_code=True`")
    with pytest.raises(WinnowError, match="hf auth login"), pretrained.one_line("a/b"):
        raise OSError("You are trying to access a gated repo.")


FORMATS = """class AOBaseConfig: pass
class Int8WeightOnlyConfig(AOBaseConfig): pass
class Int4WeightOnlyConfig(AOBaseConfig): pass
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand-ins for bitsandbytes and torchao with what transformers' configurations ask of them."""
    files = {
        "bitsandbytes/__init__.py": "",
        "torchao/__init__.py": "",
        "torchao/quantization/quant_api.py": "from torchao.quantization import AOBaseConfig\n",
        "torchao/quantization/__init__.py": FORMATS,
        "bitsandbytes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 1.0\n",
        "torchao-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: torchao\nVersion: 1.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("transformers.utils.quantization_config.is_torchao_available", lambda: True)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in {"bitsandbytes", "torchao"}]:
        del sys.modules[name]


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("quant", "bits"), [("bnb-int8", 8), ("bnb-nf4", 4)])
def test_bitsandbytes_reaches_transformers(checkpoint: Path, asked: dict[str, Any], quant: str, bits: int) -> None:
    with pytest.raises(WinnowError, match="stop here"):
        load(spec_of(checkpoint, quant=quant, dtype="bfloat16"))
    made = asked["quantization_config"]
    assert isinstance(made, BitsAndBytesConfig) and asked["device_map"] == {"": "cpu"}
    assert (made.load_in_8bit, made.load_in_4bit) == (bits == 8, bits == 4)
    if bits == 4:
        assert (made.bnb_4bit_quant_type, made.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("bits", [8, 4])
def test_torchao_reaches_transformers(checkpoint: Path, asked: dict[str, Any], bits: int) -> None:
    with pytest.raises(WinnowError, match="stop here"):
        load(spec_of(checkpoint, quant=f"torchao-int{bits}", dtype="bfloat16"))
    assert type(asked["quantization_config"].quant_type).__name__ == f"Int{bits}WeightOnlyConfig"


SPREAD: dict[str, Reducer] = {
    "random": RandomDrop(ratio=0.3),
    "fastv": FastV(ratio=0.3, schedule=K(2)),
    "pdrop": PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 4))),
    "tome": ToMe(ratio=0.4, schedule=First(4)),
    "prumerge": PruMerge(ratio=0.3),
}


@pytest.mark.parametrize(("family", "name"), [(f, n) for f in ("llava", "qwen3_vl") for n in SPREAD])
def test_layers_spread_by_accelerate_reduce_as_on_one_device(family: str, name: str, tmp_path: Path) -> None:
    """Half of the layers are fetched from the disk as they run: accelerate's hooks and the engine's hold together."""
    from accelerate import disk_offload

    if family == "qwen3_vl" and name == "prumerge":
        pytest.skip("impossible on qwen3_vl")
    whole: Any = tiny_model(family, "sdpa")
    spread: Any = load(ModelSpec(family, "", "random", "tiny", device="cpu", arch=ARCH | {"tiny_layers": 6}))
    spread.model.load_state_dict(whole.model.state_dict())
    answers = []
    for loaded in (whole, spread):
        if loaded is spread:
            disk_offload(loaded.model, str(tmp_path), execution_device=torch.device("cpu"))
        case = Case(loaded, SPREAD[name], BATCHES["padded"][::2])
        inputs = loaded.family.encode(loaded.processor, list(case.prompts))
        with torch.no_grad(), reuse_tower(loaded.model), attach(loaded.model, SPREAD[name], keys=case.keys):
            answers.append(torch.stack(loaded.model.generate(
                **inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False, pad_token_id=0, output_logits=True,
                return_dict_in_generate=True,
            ).logits))  # fmt: skip
    assert torch.equal(*answers)


def test_device_map_auto_is_asked_for(checkpoint: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(WinnowError, match="stop here"):
        load(spec_of(checkpoint, device="spread"))
    assert asked["device_map"] == "auto"


def test_a_revision_is_the_commit_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = tmp_path / "models--someone--model" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub.commit.cache_clear()
    assert hub.commit("someone/model", None) == "a" * 40
    assert hub.commit("someone/model", "b" * 40) == "b" * 40
    assert hub.commit("someone/model", "v1") is None
    hub.commit.cache_clear()


HABITS = {
    "use_cache": False, "num_beams": 3, "repetition_penalty": 1.7, "suppress_tokens": [5, 6], "do_sample": True,
    "temperature": 0.3, "cache_implementation": "static", "min_new_tokens": 9,
}  # fmt: skip


def test_a_checkpoints_habits_are_set_aside_and_told(copy: Path) -> None:
    """Whatever its files say of generating, answers are those of greedy decoding with a cache."""
    plain = load(spec_of(copy))
    assert not plain.habits
    (copy / "generation_config.json").write_text(json.dumps(HABITS | {"eos_token_id": 2}))
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["use_cache"] = False
    (copy / "config.json").write_text(json.dumps(config))
    made = load(spec_of(copy))
    assert {**made.habits} == HABITS
    assert cast(Any, made.model).generation_config.eos_token_id == 2
    told = []
    for loaded in (plain, made):
        inputs = loaded.family.encode(loaded.processor, [video_prompt()])
        with torch.no_grad(), attach(loaded.model, FastV(ratio=0.5)) as trace:
            answer = cast(Any, loaded.model).generate(**inputs, max_new_tokens=4, do_sample=False, pad_token_id=0)
            passed = cast(Any, loaded.model)(**inputs)
        told.append((answer, [prompt.tokens_per_layer for prompt in trace.prompts], cache_of(passed) is None))
    assert torch.equal(told[0][0], told[1][0]) and told[0][1:] == told[1][1:] and not told[0][2]
