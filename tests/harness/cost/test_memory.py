"""What a prefill leaves and needs, in closed form at the size of LLaVA-OneVision 7B."""

import pytest

from winnow.harness.cost.memory import block_bytes, kv_bytes, layer_bytes, peak_bytes, weight_bytes
from winnow.harness.cost.shape import LLMShape
from winnow.harness.cost.vision import Linear, TowerShape

LLM = LLMShape(layers=28, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)
NARROW = LLMShape(layers=2, hidden=3584, heads=28, kv_heads=28, head_dim=128, mlp=1000, vocab=152064)
SIGLIP = TowerShape(26, 1152, 16, 4304, patches=729, pixels=588)
CLIP = TowerShape(23, 1024, 16, 1024, patches=576, pixels=588, extra=1, gated=True)


def test_the_cache_holds_keys_and_values_of_every_layers_own_tokens() -> None:
    tokens = [6372] * 5 + [1348] * 23
    assert kv_bytes(LLM, tokens) == 2 * 4 * 128 * 2 * (5 * 6372 + 23 * 1348)


def test_weights_count_a_tied_embedding_once() -> None:
    decoder = 28 * (2 * 3584 * (28 + 4) * 128 + 3 * 3584 * 18944)
    assert weight_bytes(LLM, tied=True) == 2 * (decoder + 3584 * 152064)
    assert weight_bytes(LLM, tied=False) == 2 * (decoder + 2 * 3584 * 152064)
    tower = 26 * (4 * 1152**2 + 2 * 1152 * 4304) + 588 * 1152
    projector = (Linear(729, 1152, 3584), Linear(196, 3584, 3584))  # weights, however many vectors pass
    assert weight_bytes(LLM, True, SIGLIP, projector, 4) == 4 * (
        decoder + 3584 * 152064 + tower + 1152 * 3584 + 3584 * 3584
    )


def test_a_layer_needs_the_larger_of_attention_and_mlp() -> None:
    n = 6372
    assert layer_bytes(LLM, n) == 2 * n * (2 * 3584 + 3 * 18944)  # a wide MLP
    assert layer_bytes(NARROW, n) == 2 * n * (2 * 3584 + 4 * 28 * 128)  # a narrow one: queries, keys, values, output
    eager = 2 * n * (2 * 3584 + (2 * 28 + 2 * 4) * 128) + 28 * n * n * (2 + 4)
    assert layer_bytes(LLM, n, "eager") == eager
    assert layer_bytes(LLM, 64, "eager") == layer_bytes(LLM, 64)  # few scores: the MLP is larger


def test_a_vision_blocks_scores_are_those_within_frames() -> None:
    n = 32 * 729
    assert block_bytes(SIGLIP, 32) == 2 * n * (2 * 1152 + 2 * 4304)
    assert block_bytes(SIGLIP, 32, "eager") == 6 * 2 * n * 1152 + 16 * n * 729 * (2 + 4)
    m = 8 * 577
    assert block_bytes(CLIP, 8) == max(6 * 2 * m * 1024, 2 * m * (2 * 1024 + 3 * 1024)) == 12 * m * 1024
    assert block_bytes(CLIP, 8, width=4) == 2 * block_bytes(CLIP, 8)


@pytest.mark.parametrize("frames", [1, 512])
def test_the_peak_is_the_larger_of_tower_and_decoder_beside_the_weights(frames: int) -> None:
    tokens = [2000] * 10 + [700] * 18
    decoder = layer_bytes(LLM, 2000) + kv_bytes(LLM, tokens)
    tower = block_bytes(SIGLIP, frames)
    assert (tower > decoder) == (frames == 512)
    assert peak_bytes(LLM, tokens, 1e9, SIGLIP, frames) == 1e9 + max(decoder, tower)
    assert peak_bytes(LLM, tokens, 1e9) == 1e9 + decoder


def test_a_gated_vision_block_holds_gate_up_and_their_product() -> None:
    wide = TowerShape(2, 1024, 16, 8192, patches=576, pixels=588, gated=True)
    assert block_bytes(wide, 4) == 2 * 4 * 576 * (2 * 1024 + 3 * 8192)
