"""Unreduced, we answer as lmms-eval's own wrappers do, where these work: same frames, pictures, template, decoding."""

import copy
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers.video_utils import VideoMetadata

from winnow.harness.config.schema import TasksConfig
from winnow.harness.data.documents import Tasks
from winnow.harness.data.media import decode_video, make_prompt
from winnow.harness.run.generate import answer, cut, encode
from winnow.harness.tasks.lmms_eval import quiet
from winnow.harness.tasks.pico.data import write_video
from winnow.models.check.cases import ARCH, tiny_model
from winnow.models.families.arch import tiny
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.reducers.none import NoReduction

TOKENS = 12
SIDE = 56
RATE = 4
"""Frames per second of the films that we write."""
CONTENT = (
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}PLACEHOLDER{% endif %}{% endfor %}{% endif %}"
)
LLAVA = (
    "{% for message in messages %}USER: "
    + CONTENT.replace("PLACEHOLDER", "{{ '<' + part['type'] + '>\n' }}")
    + "{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
MARKED = "'<|vision_start|><' + part['type'] + '><|vision_end|>'"
QWEN = (
    "{% if messages[0]['role'] != 'system' %}{{ 'system\nYou are a helpful assistant.\n' }}{% endif %}"
    "{% for message in messages %}{{ message['role'] + '\n' }}"
    + CONTENT.replace("PLACEHOLDER", "{{ " + MARKED + " }}")
    + "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
)
GLM = QWEN.replace(
    MARKED,
    "'<|begin_of_' + part['type'] + '|><' + part['type'] + '><|end_of_' + part['type'] + '|>'",
).replace("system\nYou are a helpful assistant.\n", "")
"""In the manner of the released templates, which take plain strings, as some wrappers give them, and lists of parts."""
STEPS = QWEN.replace(MARKED, f"('<video>' if part['type'] == 'video' else {MARKED})")
"""Without the marks around a whole film, which the library leaves there today beside those of its steps; we do not."""
GEMMA4 = QWEN.replace(MARKED, "('<image>' if part['type'] == 'image' else '<|video|>')")

TEMPLATES = {"qwen2_vl": QWEN, "qwen2_5_vl": QWEN, "qwen3_vl": STEPS, "qwen3_5": STEPS, "glm4v": GLM}
GEMMA3 = QWEN.replace(MARKED, "'<|begin_of_image|>'")
TEMPLATES |= {"gemma4": GEMMA4, "gemma3": GEMMA3}
HALF = ("qwen2_5_vl", "qwen3_vl", "qwen3_5", "glm4v", "gemma4", "gemma3")
"""What wrappers load in bfloat16, whatever the checkpoint says."""
TOLD = ("qwen3_vl", "qwen3_5", "gemma4")
"""Those that are told the time of their frames by a wrapper, which reads it from the file."""
PATCHES = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16, "qwen3_5": 16}
"""The patches that a wrapper's own resizing takes for granted."""

QWEN_PIXELS = {"min_pixels": SIDE**2, "max_pixels": 768 * 28 * 28}


@pytest.fixture(scope="module")
def tasks(fixtures: Path) -> Tasks:
    return Tasks(TasksConfig(name="two", tasks=["pope", "videomme"], data=str(fixtures), max_new_tokens=TOKENS))


def qwen_model(family: str) -> Any:
    """A tiny model with patches of real size, see `PATCHES`."""
    arch = tiny(ARCH)
    vision = arch["vision"] | {"patch": PATCHES[family], "image": 4 * PATCHES[family]}
    made: Any = load(ModelSpec(family, "", "random", device="cpu", arch=arch | {"vision": vision}))
    for parameter in made.model.parameters():
        parameter.data *= (3 if family == "qwen3_5" else 6) if parameter.ndim > 1 else 1
    return made


def checkpoint(family: str, template: str, folder: Path) -> None:
    """A tiny random model with what it needs to be loaded by anybody."""
    made: Any = tiny_model(family, "sdpa") if not family.startswith("qwen") else qwen_model(family)
    if family == "gemma4":  # whose processor has a mark of films of its own
        made.model.config.video_token_id = made.processor.video_token_id
    made.model.save_pretrained(folder)
    processor = copy.deepcopy(made.processor)
    processor.chat_template = template
    processor.save_pretrained(folder)


def whole(visuals: list[Any], folder: Path) -> list[Any]:
    """Pictures and videos of whole patches, as lmms-eval's Qwen wrappers resize with other libraries than we do.

    Seven frames, of which the four at uniform places are the same whether fractions are cut off or rounded.
    """
    side = SIDE if "16" not in folder.name else 64
    return [_cropped_video(v, folder, side) if isinstance(v, str) else v.crop((0, 0, side, side)) for v in visuals]


def _cropped_video(path: str, folder: Path, side: int) -> str:
    cropped = folder / Path(path).name
    if not cropped.exists():
        frames = decode_video(path, 7)[:, :side, :side]
        missing = [(0, max(0, want - size)) for want, size in zip((7, side, side, 3), frames.shape, strict=True)]
        write_video(cropped, np.pad(frames, missing, mode="edge"), RATE)
    return str(cropped)


def _unpadded(processor: Any) -> None:
    """Take a wrapper's padding to multiples of eight away, by which half precision rounds otherwise."""
    template = processor.apply_chat_template

    def plain(messages: Any, **options: Any) -> Any:
        told = options["processor_kwargs"]
        del told.get("text_kwargs", told)["pad_to_multiple_of"]
        return template(messages, **options)

    processor.apply_chat_template = plain


def _decoding(videos: Any) -> None:
    """Decode for a video processor, which would ask torchcodec, that is not among the dependencies."""

    def fetch(paths: list[str], sample_indices_fn: Callable[..., Any]) -> tuple[list[Any], list[VideoMetadata]]:
        films = [decode_video(path, 7) for path in paths]
        told = [VideoMetadata(total_num_frames=len(film), fps=RATE) for film in films]
        for one in told:
            one.frames_indices = sample_indices_fn(metadata=one)
        return [film[one.frames_indices] for film, one in zip(films, told, strict=True)], told

    videos.fetch_videos = fetch


def theirs(wrapper: Any, task: Any, folder: Path) -> list[str]:
    task.build_all_requests(limit=None, rank=0, world_size=1)
    wrapper.task_dict[task.config.task] = task.dataset
    for instance in task.instances:
        text, settings, visuals, *rest = instance.args
        settings |= {"max_new_tokens": TOKENS}
        instance.arguments = (text, settings, lambda doc, visuals=visuals: whole(visuals(doc), folder), *rest)
    return wrapper.generate_until(task.instances)


def ours(folder: Path, family: str, tasks: Tasks, name: str, frames: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    dtype = "bfloat16" if family in HALF else "float32"
    loaded = load(ModelSpec(family, str(folder), device="cpu", dtype=dtype))
    for document in tasks.documents(name, None):
        document.generation["max_new_tokens"] = TOKENS
        prompt = make_prompt(document.text, whole(document.visuals(), folder), frames)
        if family not in TOLD:
            prompt = replace(prompt, rates=[24.0] * len(prompt.videos))  # taken where, as in the wrappers, none is told
        (row,) = answer(loaded, NoReduction(), encode(loaded, [document], [prompt]), seed=0)
        yield row.answer, document.until


@pytest.mark.parametrize(
    ("family", "wrapper", "task", "frames"),
    [
        ("llava", "llava_hf:LlavaHf", "pope", 1),
        ("llava_next", "llava_hf:LlavaHf", "pope", 1),
        ("llava_onevision", "llava_hf:LlavaHf", "pope", 1),
        ("llava_onevision", "llava_hf:LlavaHf", "videomme", 7),
        ("qwen2_vl", "qwen2_vl:Qwen2_VL", "pope", 1),
        ("qwen2_vl", "qwen2_vl:Qwen2_VL", "videomme", 4),
        ("qwen2_5_vl", "qwen2_5_vl:Qwen2_5_VL", "pope", 1),
        ("qwen2_5_vl", "qwen2_5_vl:Qwen2_5_VL", "videomme", 4),
        ("qwen3_vl", "qwen3_vl:Qwen3_VL", "pope", 1),
        ("qwen3_vl", "qwen3_vl:Qwen3_VL", "videomme", 4),
        ("qwen3_5", "qwen3_5:Qwen3_5", "pope", 1),
        ("qwen3_5", "qwen3_5:Qwen3_5", "videomme", 4),
        ("gemma4", "gemma4:Gemma4", "pope", 1),
        ("gemma4", "gemma4:Gemma4", "videomme", 4),
        ("gemma3", "gemma3:Gemma3", "pope", 1),
        ("glm4v", "glm4v:GLM4V", "pope", 1),
    ],
)
def test_the_same_answers(
    family: str, wrapper: str, task: str, frames: int, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"Flash-{PATCHES.get(family, 0)}"  # by which one wrapper tells the class
    folder.mkdir()
    checkpoint(family, TEMPLATES.get(family, LLAVA), folder)
    module, _, name = wrapper.partition(":")
    with quiet():
        cls = getattr(importlib.import_module(f"lmms_eval.models.simple.{module}"), name)
        for name in ("_encode_image_data_url", "_image_to_base64"):  # which write pictures as JPEG
            if hasattr(cls, name):
                monkeypatch.setattr(cls, name, lambda self, image: image)
        options = QWEN_PIXELS | {"max_num_frames": frames} if family in PATCHES else {}
        options = {"max_num_frames": frames, "max_soft_tokens": 70} if family == "gemma4" else options
        options = options if family in TEMPLATES else {"max_frames_num": frames}
        options |= {"enable_thinking": False} if family == "qwen3_5" else {}
        made = cls(pretrained=str(folder), device="cpu", device_map="cpu", **options)
        if family.startswith("gemma"):
            _unpadded(made.processor)
        if family == "gemma4":
            _decoding(made.processor.video_processor)
        expected = theirs(made, tasks.load(task), folder)
    found = list(ours(folder, family, tasks, task, frames))
    assert len(set(expected)) > 1
    assert [text for text, _ in found] == [
        cut(text.strip(), until).strip() for text, (_, until) in zip(expected, found, strict=True)
    ]
