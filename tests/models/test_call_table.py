"""Every field and argument that the installed transformers knows has been decided upon."""

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig, GenerationMixin
from transformers.utils.generic import TransformersKwargs

from winnow.models.check.cases import image_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.engine.calls import CONFIG, FORWARD, GENERATE
from winnow.models.families import FAMILIES
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.fastv import FastV

ROOT = Path(__file__).parents[2]


def test_every_field_of_the_configuration_is_decided() -> None:
    known = {name for name in vars(GenerationConfig()) if not name.startswith("_")} | set(GenerationConfig().to_dict())
    assert known <= CONFIG.keys()


def test_every_argument_of_generate_is_decided() -> None:
    known = set(inspect.signature(GenerationMixin.generate).parameters) - {"self"}
    assert known <= GENERATE.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_argument_of_a_forward_is_decided(family: str) -> None:
    model: Any = tiny_model(family, "sdpa").model
    known = set(inspect.signature(type(model).forward).parameters) - {"self"}
    assert known | set(TransformersKwargs.__annotations__) <= FORWARD.keys()


def test_what_is_refused_says_what_to_do() -> None:
    for rules in (CONFIG, GENERATE, FORWARD):
        for name, rule in rules.items():
            assert rule.verdict in ("exact", "no effect", "refused"), name
            assert rule.verdict == "exact" or rule.why, name


@pytest.mark.parametrize("name", [name for name, rule in FORWARD.items() if rule.verdict == "refused"])
def test_a_refused_argument_of_the_forward_is_refused(name: str) -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    with attach(model, FastV()), pytest.raises(UnsupportedError, match=name):
        model(**inputs, **{name: 1})


@pytest.mark.parametrize("name", [name for name, rule in CONFIG.items() if rule.verdict == "refused"])
@pytest.mark.parametrize("way", ["argument", "generation_config", "default"])
def test_a_refused_field_is_refused_wherever_it_stands(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    inputs = dict(loaded.family.encode(loaded.processor, [image_prompt()]))
    config = GenerationConfig(max_new_tokens=1)
    setattr(config, name, 3)
    if way == "default":
        monkeypatch.setattr(model, "generation_config", config)
    options = {"argument": {name: 3}, "generation_config": {"generation_config": config}, "default": {}}[way]
    with attach(model, FastV()), pytest.raises(UnsupportedError, match=f"^{name}=3 "):
        model.generate(**inputs, **options)


def test_the_page_shows_the_tables() -> None:
    spec = importlib.util.spec_from_file_location("call_table", ROOT / "scripts" / "call_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.PAGE.read_text()
    assert module.page(text) == text, "run python scripts/call_table.py"
