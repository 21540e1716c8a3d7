"""A machine's roofline."""

import pytest
from values import usual

from winnow.harness.cost.hardware import WIDTHS, Hardware, Peak, hardware
from winnow.harness.cost.op import Op
from winnow.reducers.core.errors import WinnowError

MACHINE = Hardware("some card", bandwidth=2000, peak=Peak(fp16=300, int8=600, fp32=20))


@pytest.mark.parametrize(
    ("dtype", "tera"), [("float32", 20), ("bfloat16", 300), ("float16", 300), ("int8", 600), ("int4", 600)]
)
def test_the_unit_of_a_type(dtype: str, tera: float) -> None:
    assert MACHINE.flops(dtype) == tera * 1e12


def test_a_machine_is_told_in_gigabytes_and_teraflops() -> None:
    """Exactly: a thousand millionth of a second less or more would be another unit."""
    assert MACHINE.seconds([Op("a", 3e14)], "float16") == 1 and MACHINE.seconds([Op("a", 0, load=2e12)], "int4") == 1
    assert WIDTHS == {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1, "int4": 0.5}
    assert usual(Peak, frozen=False) == dict.fromkeys(("fp16", "fp8", "int8", "fp32"))
    assert usual(Hardware, frozen=False) == {"memory": None, "peak": Peak(), "sources": {}, "unverified": []}


def test_each_operator_is_bound_by_arithmetic_or_by_traffic() -> None:
    arithmetic, traffic = Op("a", 6e12, load=2e9), Op("b", 3e9, weight=1e10, kv_load=1e10)
    assert MACHINE.seconds([arithmetic], "float16") == pytest.approx(6 / 300)
    assert MACHINE.seconds([traffic], "float16") == pytest.approx(20 / 2000)
    assert MACHINE.seconds([arithmetic, traffic], "float16") == pytest.approx(0.02 + 0.01)  # no overlap


def test_what_a_machine_lacks_is_said() -> None:
    with pytest.raises(WinnowError, match=r"some card has no peak for int8: say hardware.peak.int8=… in TFLOP/s"):
        Hardware("some card", 1).flops("int8")
    with pytest.raises(WinnowError, match="unknown hardware 'h20'"):
        hardware("h20")
    with pytest.raises(WinnowError, match="bandwith"):
        hardware("h100_sxm", ["bandwith=3"])


def test_figures_can_be_said_anew() -> None:
    usual = hardware("h100_sxm")
    made = hardware("h100_sxm", ["bandwidth=1234", "peak.fp16=7"])
    assert (made.bandwidth, made.flops("float16")) == (1234, 7e12)
    assert made.flops("int8") == usual.flops("int8") and made.name == usual.name
