"""Original checkpoints: tiny ones, written here in each layout, give the logits of the model with the same weights."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from winnow.models.check.cases import image_prompt, text_prompt, video_prompt
from winnow.models.composed import ComposedConfig
from winnow.models.convert.checkpoint import Checkpoint
from winnow.models.convert.pllava import LORA_ALPHA
from winnow.models.families import find_family
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.load import load, random_config
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.core.errors import WinnowError

ARCH = {
    "layers": 2, "hidden": 64, "heads": 4, "kv_heads": 2, "mlp": 128, "vocab": 320, "tied": False,
    "vision": {"layers": 3, "hidden": 32, "heads": 16, "mlp": 64, "image": 24, "patch": 4},
}  # fmt: skip
CASES = ["pllava", "pllava-lora", "vila", "vila-internvit", "longva", "llava_video"]
Names = dict[str, Tensor]


def family_name(case: str) -> str:
    return case.partition("-")[0]


def direct(case: str) -> Any:
    """The model that the checkpoint ought to give, with random weights."""
    name = family_name(case)
    vision = ARCH["vision"] | {"tower": "internvit"} if case.endswith("internvit") else ARCH["vision"]  # type: ignore[operator]
    arch = ARCH | {"llm": "qwen2" if name in {"longva", "llava_video"} else "llama", "vision": vision}
    if case == "pllava":
        arch |= {"kv_heads": 4}
    torch.manual_seed(1)
    loaded: Any = load(ModelSpec(name, "", "random", device="cpu", arch=arch))
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return loaded


def write(folder: Path, files: dict[str, Any], shards: list[Names], tokenizer: str = "") -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    save_shards(folder, shards)
    made = byte_tokenizer()
    made.padding_side = "right"  # as LLaVA's code trains
    made.save_pretrained(folder / tokenizer)


def save_shards(folder: Path, shards: list[Names]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if len(shards) == 1:
        save_file({k: v.contiguous().clone() for k, v in shards[0].items()}, folder / "model.safetensors")
        return
    index = {}
    for number, shard in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        save_file({k: v.contiguous().clone() for k, v in shard.items()}, folder / file)
        index |= dict.fromkeys(shard, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))


def halves(names: Names) -> list[Names]:
    items = list(names.items())
    return [dict(items[::2]), dict(items[1::2])]


def renamed(model: Any, rules: list[tuple[str, str]]) -> Names:
    """The weights under the layout's names, spelled out here once more: from ours to theirs."""
    names = {}
    for name, tensor in model.state_dict().items():
        rule = next((r for r in rules if re.match(r[0], name)), None)
        assert rule, name
        names[re.sub(rule[0], rule[1], name)] = tensor
    return names


def text_numbers(config: Any) -> dict[str, Any]:
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    text = config.text_config
    return {n: getattr(text, n) for n in (*names, "num_key_value_heads", "rms_norm_eps")} | {"rope_theta": 12345.0}


LLAVA = [
    (r"model\.vision_tower\.", "model.vision_tower.vision_tower.vision_model."),
    (r"model\.multi_modal_projector\.linear_1", "model.mm_projector.0"),
    (r"model\.multi_modal_projector\.linear_2", "model.mm_projector.2"),
    (r"model\.language_model\.", "model."),
    (r"(model\.image_newline|lm_head)", r"\1"),
]
PLLAVA = [
    (r"model\.vision_tower\.", "vision_tower.vision_model."),
    (r"model\.multi_modal_projector\.", "multi_modal_projector."),
    (r"model\.language_model\.", "language_model.model."),
    (r"lm_head", "language_model.lm_head"),
]


def write_llava(loaded: Any, folder: Path) -> None:
    config = loaded.model.config
    written = text_numbers(config) | {"model_type": "llava", "mm_vision_tower": "a/tower", "mm_hidden_size": 32}
    write(folder, {"config.json": written}, halves(renamed(loaded.model, LLAVA)))


def write_pllava(loaded: Any, folder: Path) -> None:
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "image_size": 24, "patch_size": 4}
    written = {"model_type": "pllava", "text_config": text_numbers(loaded.model.config), "vision_config": vision}
    names = renamed(loaded.model, PLLAVA) | {"vision_tower.vision_model.embeddings.position_ids": torch.arange(37)}
    write(folder, {"config.json": written}, halves(names))


def write_lora(loaded: Any, folder: Path) -> None:
    """As PEFT names the parts; the weights are what is left when the LoRA matrices are taken out."""
    write_pllava(loaded, folder)
    names = {}
    for name, tensor in renamed(loaded.model, PLLAVA).items():
        name = name.replace("language_model.", "language_model.base_model.model.", 1)
        if re.search(r"language_model.*self_attn\.[qv]_proj", name):
            stem, rank = name.removesuffix(".weight"), 8
            down, up = torch.randn(rank, tensor.shape[1]), torch.randn(tensor.shape[0], rank)
            names |= {f"{stem}.lora_A.default.weight": down, f"{stem}.lora_B.default.weight": up}
            names[f"{stem}.base_layer.weight"] = tensor - up @ down * LORA_ALPHA / rank
        else:
            names[name] = tensor
    save_shards(folder, halves(names))


def write_vila(loaded: Any, folder: Path) -> None:
    config, state = loaded.model.config, loaded.model.state_dict()
    intern = config.vision_config.model_type == "internvl_vision"
    numbers = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 16, "image_size": 24, "patch_size": 4}
    vision = numbers | {"num_hidden_layers": 3 if intern else 4}
    vision["model_type"] = "intern_vit_6b" if intern else "siglip_vision_model"
    write(
        folder,
        {
            "config.json": {"model_type": "llava_llama", "llm_cfg": {}, "mm_vision_select_layer": -1 if intern else -2},
            "llm/config.json": text_numbers(config) | {"model_type": "llama"},
            "vision_tower/config.json": vision,
            "mm_projector/config.json": {"mm_projector_type": "mlp_downsample"},
        },
        [],
        "llm",
    )
    (folder / "model.safetensors.index.json").unlink()
    llm = {k.replace("model.language_model.", "model."): v for k, v in state.items() if "language_model" in k}
    save_shards(folder / "llm", halves(llm | {"lm_head.weight": state["lm_head.weight"]}))
    parts = {"norm": "layers.1", "linear_1": "layers.2", "linear_2": "layers.4"}
    own = {k.split("projector.")[1]: v for k, v in state.items() if "multi_modal_projector" in k}
    save_shards(folder / "mm_projector", [{re.sub(r"^\w+", lambda m: parts[m[0]], k): v for k, v in own.items()}])
    tower = {k.removeprefix("model.vision_tower."): v for k, v in state.items() if "vision_tower" in k}
    save_shards(folder / "vision_tower", [fused(tower) if intern else with_head(tower)])


def with_head(tower: Names) -> Names:
    """SigLIP as published: a block and a pooling head that VILA does not use."""
    last = {k.replace("layers.2.", "layers.3."): v + 1 for k, v in tower.items() if "layers.2." in k}
    return {f"vision_model.{k}": v for k, v in (tower | last | {"head.probe": torch.zeros(1, 1, 32)}).items()}


def fused(tower: Names) -> Names:
    """InternViT's own names, q, k and v in one."""
    words = {
        "embeddings.cls_token": "embeddings.class_embedding",
        "embeddings.patch_embeddings.projection": "embeddings.patch_embedding",
        "embeddings.position_embeddings": "embeddings.position_embedding",
        "encoder.layer.": "encoder.layers.", "attention.projection_layer": "attn.proj", "attention.": "attn.",
        "layernorm_before": "norm1", "layernorm_after": "norm2", "lambda_": "ls",
    }  # fmt: skip
    names = {}
    for name, tensor in tower.items():
        if "q_proj" in name:
            parts = [tower[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            name, tensor = name.replace("q_proj", "qkv"), torch.cat(parts)
        elif "k_proj" in name or "v_proj" in name:
            continue
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)
        names[name] = tensor
    return names


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "pllava": write_pllava,
    "pllava-lora": write_lora,
    "vila": write_vila,
    "vila-internvit": write_vila,
    "longva": write_llava,
    "llava_video": write_llava,
}


def read(case: str, folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(ModelSpec(family_name(case), str(folder), device="cpu"))


@pytest.mark.parametrize("case", CASES)
def test_a_converted_checkpoint_has_the_logits_of_the_direct_model(case: str, tmp_path: Path) -> None:
    made = direct(case)
    for module in (made.model.model.language_model,):  # rope_theta as the files say
        module.config.rope_parameters["rope_theta"] = 12345.0
        module.rotary_emb = type(module.rotary_emb)(module.config)
    WRITERS[case](made, tmp_path)
    with pytest.warns(UserWarning, match="unverified: names"):
        again: Any = load(ModelSpec(family_name(case), str(tmp_path), device="cpu"))
    assert again.model.config.text_config.rope_parameters["rope_theta"] == 12345.0
    assert type(again.model) is type(made.model)
    for prompt in (video_prompt(), image_prompt(), text_prompt()):
        inputs = again.family.encode(again.processor, [prompt])
        ours = dict(inputs) | {"input_ids": swap(inputs["input_ids"], again.model.config, made.model.config)}
        with torch.no_grad():
            before, after = made.model(**ours).logits, again.model(**inputs).logits
        assert (before - after).abs().max() < (1e-3 if "lora" in case else 1e-5)
        assert before.std() > 0.05


def swap(ids: Tensor, theirs: ComposedConfig, ours: ComposedConfig) -> Tensor:
    """Placeholders of one model as those of another."""
    return ids.masked_fill(ids == theirs.image_token_id, ours.image_token_id)


@pytest.mark.parametrize("case", CASES)
def test_faulty_checkpoints_list_their_keys(case: str, tmp_path: Path) -> None:
    made = direct(case)
    WRITERS[case](made, tmp_path)
    folder = tmp_path / "mm_projector" if "vila" in case else tmp_path
    names = Checkpoint(str(folder)).tensors()
    for file in [*folder.glob("*.safetensors"), *folder.glob("*.index.json")]:
        file.unlink()
    victim, bent = (n for n in sorted(names) if re.search(r"projector.*bias|layers\.[24]\.bias", n))
    names["model.nobody_knows.weight"] = names.pop(victim)
    names[bent] = torch.zeros(3)
    save_shards(folder, [names])
    with pytest.raises(WinnowError) as caught:
        read(case, tmp_path)
    told = str(caught.value)
    assert re.search(r"missing: model\.multi_modal_projector\.linear_[12]\.bias; unknown: ", told)
    assert "nobody_knows.weight; of a wrong shape: model.multi_modal_projector.linear_" in told
    assert "(3,) instead of (64,)" in told


def test_what_was_converted_can_be_saved_and_keeps_its_note(tmp_path: Path) -> None:
    write_llava(direct("llava_video"), tmp_path / "theirs")
    first: Any = read("llava_video", tmp_path / "theirs")
    first.model.save_pretrained(tmp_path / "ours")
    first.processor.save_pretrained(tmp_path / "ours")
    second: Any = load(ModelSpec("llava_video", str(tmp_path / "ours"), device="cpu"))
    assert "unverified: names" in second.model.config.note
    assert second.model.generation_config.eos_token_id == first.model.generation_config.eos_token_id
    inputs = [x.family.encode(x.processor, [video_prompt()]) for x in (first, second)]
    assert torch.equal(inputs[0]["input_ids"], inputs[1]["input_ids"])
    with torch.no_grad():
        before, after = (x.model(**i).logits for x, i in zip((first, second), inputs, strict=True))
    assert torch.equal(before, after)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    write_llava(direct("longva"), tmp_path)
    for file in [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.index.json")]:
        file.unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WinnowError, match=r"holds no model\.safetensors; weights are read from safetensors only"):
        read("longva", tmp_path)


def test_a_checkpoint_of_the_sibling_is_named(tmp_path: Path) -> None:
    write_llava(direct("longva"), tmp_path)
    with pytest.raises(WinnowError, match="holds a clip tower, but 'llava_video' has siglip"):
        read("llava_video", tmp_path)


def test_half_a_lora_pair_is_unknown(tmp_path: Path) -> None:
    write_lora(direct("pllava-lora"), tmp_path)
    names = Checkpoint(str(tmp_path)).tensors()
    gone = next(n for n in names if "lora_B" in n)
    names.pop(gone)
    for file in [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.index.json")]:
        file.unlink()
    save_shards(tmp_path, [names])
    with pytest.raises(WinnowError, match=r"unknown: .*lora_A"):
        read("pllava", tmp_path)


@pytest.mark.parametrize(
    ("case", "prompt"),
    [
        ("pllava", "USER: <image>\nwhat ? ASSISTANT:"),
        ("longva", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<image>\nwhat ?"
         "<|im_end|>\n<|im_start|>assistant\n"),
    ],
)  # fmt: skip
def test_prompts_of_the_original_code(case: str, prompt: str, tmp_path: Path) -> None:
    WRITERS[case](direct(case), tmp_path)
    processor = read(case, tmp_path).processor
    content = [{"type": "image"}, {"type": "text", "text": "what ?"}]
    assert processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True) == prompt


def test_vila_speaks_llama_3_or_chatml(tmp_path: Path) -> None:
    from winnow.models.convert.vila import template

    class Words:
        def __init__(self, *words: str) -> None:
            self.words = words

        def get_vocab(self) -> dict[str, int]:
            return {word: number for number, word in enumerate(self.words)}

    assert "<|eot_id|>" in template(Words()) and "system<|end_header_id|>" in template(Words())
    assert "Answer the questions.<|im_end|><|im_start|>user" in template(Words("<|im_start|>"))


def test_converted_answers_end_at_the_end_of_a_turn(tmp_path: Path) -> None:
    write_llava(direct("longva"), tmp_path)
    loaded: Any = read("longva", tmp_path)
    assert loaded.model.generation_config.eos_token_id == [loaded.processor.tokenizer.eos_token_id]
    assert loaded.processor.tokenizer.padding_side == "left"
    inputs = loaded.family.encode(loaded.processor, [video_prompt()])
    assert loaded.model.generate(**inputs, max_new_tokens=2, do_sample=False).shape[1] > inputs["input_ids"].shape[1]


def test_random_and_converted_configurations_agree(tmp_path: Path) -> None:
    """What the converter reads off the files is what the architecture numbers build."""
    made = direct("llava_video")
    write_llava(made, tmp_path)
    ours, theirs = made.model.config, read("llava_video", tmp_path).model.config
    for name in ("hidden_size", "num_hidden_layers", "image_size", "patch_size", "intermediate_size"):
        assert getattr(ours.vision_config, name) == getattr(theirs.vision_config, name)
    assert (ours.side, ours.newline, ours.pool) == (theirs.side, theirs.newline, theirs.pool)
    assert find_family("llava_video").pooled_slots(theirs) == 9
    spec = ModelSpec("llava_video", "", "random", arch=ARCH | {"llm": "qwen2"})
    assert random_config(find_family("llava_video"), spec).side == 3
