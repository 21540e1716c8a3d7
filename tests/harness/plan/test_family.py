"""What plans know of a family without importing it is what its class says."""

from dataclasses import asdict

import pytest
from values import usual

from winnow.harness.plan.family import FamilyFacts, family_facts
from winnow.models.families import find_family


@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "gemma4", "pllava"])
def test_facts_are_the_class_attributes(name: str) -> None:
    family = find_family(name)
    assert asdict(family_facts(name)) == {key: getattr(family, key) for key in asdict(family_facts(name))}


def test_what_is_known_is_whole_and_stays() -> None:
    assert usual(FamilyFacts) == {}
