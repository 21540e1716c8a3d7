"""One place knows what transformers renamed, and refuses what it does not know."""

from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from transformers import DynamicCache

from winnow.models import transformers_api
from winnow.models.check.cases import image_prompt, tiny_model
from winnow.models.engine import attach
from winnow.models.transformers_api import CACHE, TESTED, cache_of, check_version
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.fastv import FastV


@pytest.mark.parametrize("version", ["5.17.0", "5.20.2", "5.24.0", "5.24.0.dev0"])
def test_tested_versions_pass(version: str) -> None:
    check_version(version)
    assert TESTED[0] <= tuple(map(int, version.split(".")[:2])) <= TESTED[1]


@pytest.mark.parametrize("version", ["4.57.6", "5.16.3", "5.25.0", "6.0"])
def test_other_versions_are_refused_in_one_line(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError, match=rf"transformers {version} is not tested.*WINNOW_UNTESTED=1") as refusal:
        check_version(version)
    assert "\n" not in str(refusal.value)
    monkeypatch.setenv("WINNOW_UNTESTED", "1")
    with pytest.warns(UserWarning, match="going on"):
        check_version(version)


def test_the_bound_in_pyproject_is_the_tested_one(pytestconfig: pytest.Config) -> None:
    import tomllib

    wanted = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]["dependencies"]
    found = next(need.specifier for need in map(Requirement, wanted) if need.name == "transformers")
    (first, last) = TESTED
    assert found == SpecifierSet(f">={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}")


def test_attach_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_api, "TESTED", ((4, 0), (4, 1)))
    with pytest.raises(UnsupportedError, match="is not tested"), attach(tiny_model("llava", "sdpa").model, FastV()):
        pass


@pytest.mark.parametrize("name", ["cache", "past_key_values", "renamed_once_more"])
def test_an_empty_cache_is_found_by_any_name(name: str) -> None:
    cache = DynamicCache()
    assert cache_of({"input_ids": torch.ones(1), name: cache}) is cache
    assert cache_of({name: None, "use_cache": True}) is None


def test_a_decoding_step_that_looks_like_a_prefill_is_an_error() -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    inputs = loaded.family.encode(loaded.processor, [image_prompt()])
    with torch.no_grad(), attach(model, FastV()):
        cache = cache_of(model(**inputs, use_cache=True))
        hidden = model.model.register_forward_pre_hook(lambda m, a, k: (a, k | {CACHE: cache}), with_kwargs=True)
        with pytest.raises(UnsupportedError, match="reached the LLM where 0 were expected"):
            model(input_ids=torch.tensor([[5]]), use_cache=True)
        hidden.remove()
