"""What a cost depends on, and what is meant where nothing is said."""

from values import usual

from winnow.harness.cost.experts import Experts
from winnow.harness.cost.shape import LLMShape, layers

ARCH = {"layers": 6, "hidden": 512, "heads": 8, "kv_heads": 2, "mlp": 1024, "vocab": 1000}


def test_a_shape_has_what_is_usual_and_stays() -> None:
    assert usual(LLMShape) == {
        "experts": None, "gated": False, "states": None, "recurrent": False, "sliding": None, "values": True,
        "lean": None, "fed": 0, "feeds": 0, "reading": False,
    }  # fmt: skip


def test_a_shape_is_read_from_the_yaml() -> None:
    assert LLMShape.from_arch(ARCH) == LLMShape(6, 512, 8, 2, 64, 1024, 1000)
    assert LLMShape.from_arch(ARCH | {"head_dim": 128, "gated_queries": True}) == LLMShape(
        6, 512, 8, 2, 128, 1024, 1000, gated=True
    )
    assert LLMShape.from_arch(ARCH | {"head_dim": None}).head_dim == 64


def test_the_first_layers_of_a_mixture_may_be_dense() -> None:
    mixed = LLMShape(3, 512, 8, 2, 64, 1024, 1000, experts=Experts(8, 2, 128, first=1))
    assert [mixed.at(layer).experts is None for layer in range(3)] == [True, False, False]
    assert [mixed.at(layer).inner for layer in range(3)] == [1024, 256, 256]
    attention, dense = 512 * 64 * (2 * 8 + 2 * 2), 3 * 512 * 1024
    experts = [512 * (8 + 3 * met * 128) for met in (8, 2)]
    assert mixed.parameters == 3 * attention + dense + 2 * experts[0]
    assert mixed.active_parameters == 3 * attention + dense + 2 * experts[1]


def test_tokens_of_attention_and_mlp() -> None:
    shape = LLMShape.from_arch(ARCH | {"layers": 2})
    assert layers(shape, [5, 3]) == [(5, 5), (3, 3)] and layers(shape, [5, 3], [4, 2]) == [(5, 4), (3, 2)]
