"""The papers' convention, operator by operator where its sizes are not those of attention."""

import pytest

from winnow.harness.cost import llm_viewer
from winnow.harness.cost.op import Op, linear
from winnow.harness.cost.shape import LLMShape
from winnow.reducers.core.errors import WinnowError

LLM = LLMShape(layers=3, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize(("mlp", "left"), [(None, 1000), (300, 300), (0, 0)])
def test_what_stands_around_attention_follows_its_own_tokens(width: float, mlp: int | None, left: int) -> None:
    ops = {op.name: op for op in llm_viewer.layer_ops(LLM, 1000, width=width, mlp=mlp)}
    for at, size in (("attn", 1000 * 3584), ("mlp", left * 3584)):
        assert ops[f"{at}_norm"] == Op(f"{at}_norm", 7 * size, load=width * size, store=width * size)
        assert ops[f"{at}_add"] == Op(f"{at}_add", size, load=width * size, store=width * size)
    size = left * 3584
    assert ops["mlp_act"] == Op("mlp_act", 2 * size, load=2 * width * size, store=width * size)
    assert ops["down_proj"] == linear("down_proj", left, 18944, 3584, width)
    assert ops["q_proj"] == linear("q_proj", 1000, 3584, 3584, width)


def test_sixteen_bit_and_the_second_add_are_usual() -> None:
    assert llm_viewer.layer_ops(LLM, 10) == llm_viewer.layer_ops(LLM, 10, True, 2, False, None)
    assert llm_viewer.head_op(LLM) == llm_viewer.head_op(LLM, 2, 2) != llm_viewer.head_op(LLM, 1)


def test_a_prefill_is_its_layers_and_one_head() -> None:
    tokens, behind = [100, 60, 60], [60, 60, 20]

    def by_hand(add: bool, mlp: list[int]) -> float:
        layers = [llm_viewer.layer_ops(LLM, n, add, mlp=left) for n, left in zip(tokens, mlp, strict=True)]
        return sum(op.flops for ops in layers for op in ops) + 3584 * 152064

    assert llm_viewer.prefill_flops(LLM, tokens) == by_hand(True, tokens)
    assert llm_viewer.prefill_flops(LLM, tokens, False, behind) == by_hand(False, behind)


@pytest.mark.parametrize("lists", [([100, 60], None), ([100] * 4, None), ([100] * 3, [60] * 2)])
def test_a_list_has_one_entry_for_each_layer(lists: tuple[list[int], list[int] | None]) -> None:
    tokens, mlp = lists
    with pytest.raises(WinnowError, match=r"tokens_per_layer has [24] entries but the LLM has 3 layers"):
        llm_viewer.prefill_flops(LLM, tokens, mlp=mlp)
