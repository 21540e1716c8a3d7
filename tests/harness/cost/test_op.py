"""One operator."""

from values import usual

from winnow.harness.cost.op import Op, linear


def test_an_operator_moves_what_is_told_and_nothing_else() -> None:
    assert usual(Op) == {"weight": 0, "load": 0, "store": 0, "kv_load": 0, "kv_store": 0}
    assert Op("x", 1, weight=1, load=2, store=4, kv_load=8, kv_store=16).bytes == 31


def test_a_linear_layer_reads_its_weights_once_and_writes_its_output_to_the_cache_if_it_is_kept() -> None:
    assert linear("x", 10, 3, 5, 0.5) == Op("x", 300, weight=7.5, load=15, store=25)
    assert linear("x", 10, 3, 5, 0.5, cached=True) == Op("x", 300, weight=7.5, load=15, kv_store=25)
    assert linear("x", 10, 3, 5, 2, cached=False) == Op("x", 300, 30, 60, 100, 0, 0)
