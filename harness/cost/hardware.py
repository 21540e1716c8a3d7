"""The two numbers of a machine that a roofline needs, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from winnow.harness.config.choices import listed, options
from winnow.harness.config.messages import one_line
from winnow.harness.cost.op import Op
from winnow.reducers.core.errors import WinnowError, choose

GROUP = "hardware"
WIDTHS = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}
"""Bytes per element."""
UNITS = {"float32": "fp32", "bfloat16": "fp16", "float16": "fp16", "int8": "int8", "int4": "int8"}
"""The unit that multiplies numbers of a type; bfloat16 runs at the speed of fp16, 4-bit integers on the 8-bit unit."""


@dataclass
class Peak:
    """Dense peaks in TFLOP/s (TOP/s); None where there is no such unit."""

    fp16: float | None = None
    fp8: float | None = None
    int8: float | None = None
    fp32: float | None = None


@dataclass
class Hardware:
    """A machine; see `configs/hardware`.

    Attributes
    ----------
    name : str
        As it is printed.
    bandwidth : float
        Of its memory, GB/s.
    memory : float or None
        GB.
    peak : Peak
        Dense peaks.
    sources : dict of str to str
        Where each figure comes from.
    unverified : list of str
        Figures that no data sheet was at hand for.
    """

    name: str
    bandwidth: float
    memory: float | None = None
    peak: Peak = field(default_factory=Peak)
    sources: dict[str, str] = field(default_factory=dict)
    unverified: list[str] = field(default_factory=list)

    def flops(self, dtype: str) -> float:
        """Peak for a type, FLOP/s.

        Raises
        ------
        WinnowError
            If it has no unit for it.
        """
        unit = UNITS[dtype]
        peak: float | None = getattr(self.peak, unit)
        if peak is None:
            raise WinnowError(f"{self.name} has no peak for {dtype}: say hardware.peak.{unit}=… in TFLOP/s")
        return peak * 1e12

    def seconds(self, ops: Iterable[Op], dtype: str) -> float:
        """Roofline time: each operator is bound by its arithmetic or by its traffic; no overlap, no launch cost."""
        peak, bandwidth = self.flops(dtype), self.bandwidth * 1e9
        return sum(max(op.flops / peak, op.bytes / bandwidth) for op in ops)


def hardware(name: str, overrides: Sequence[str] = ()) -> Hardware:
    """Read a machine from ``configs/hardware``.

    Parameters
    ----------
    name : str
        The YAML's name.
    overrides : sequence of str
        ``key=value``, relative to the machine.

    Raises
    ------
    WinnowError
        For unknown machines and keys, and for figures that nobody has measured yet.
    """
    if name not in options(GROUP):
        raise WinnowError(f"unknown hardware '{name}': {choose(name, options(GROUP))}")
    try:
        figures = OmegaConf.create(listed(GROUP, name))
        merged = OmegaConf.merge(OmegaConf.structured(Hardware), figures, OmegaConf.from_dotlist(list(overrides)))
        if OmegaConf.missing_keys(merged):
            missing = ", ".join(f"hardware.{key}" for key in sorted(OmegaConf.missing_keys(merged)))
            raise WinnowError(f"hardware={name} does not know {missing}: `winnow calibrate {name}` measures it")
        made: Hardware = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise WinnowError(one_line(error)) from error
    return made
