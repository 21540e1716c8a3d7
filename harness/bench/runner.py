"""Times methods beside each other: each round runs every one of them, so that a drift hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch

from winnow.harness.bench.cells import COMMON, Variant, variants
from winnow.harness.bench.clock import Clock
from winnow.harness.bench.estimate import check
from winnow.harness.bench.hardware import clocks, kernels
from winnow.harness.bench.measure import Measurement, measure
from winnow.harness.bench.modelled import layer_rate, machine
from winnow.harness.bench.prompts import Prompts
from winnow.harness.bench.record import record
from winnow.harness.common import files
from winnow.harness.common.progress import progress
from winnow.harness.plan.nominal import nominal
from winnow.harness.run import environment
from winnow.harness.run.loaded import load_model
from winnow.models.engine import reuse_tower
from winnow.models.loading.load import Loaded
from winnow.reducers.core.errors import WinnowError, choose

Round = dict[str, tuple[dict[str, float], Measurement]]
"""Per method the seconds of what happens before the model, and what the model took."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes
    ----------
    rounds, warmup : int
        Rounds that count, and rounds before them that do not.
    new_tokens : int
        Tokens to generate; the first ends the TTFT, the others give the TPOT.
    tower : {"each", "once"}
        Encode the pictures in every generation, or only once and time the rest; methods that act in the tower always
        encode.
    clock : {"wall", "cpu"}
        See `Clock`; ``cpu`` for a CPU that others use, too.
    threads : int or None
        CPU threads; None as torch chooses.
    minutes : float
        Refuse what is estimated to take longer.
    eager : bool
        Also time the unreduced model with eager attention that returns its matrices.
    """

    rounds: int = 5
    warmup: int = 1
    new_tokens: int = 8
    tower: Literal["each", "once"] = "each"
    clock: Literal["wall", "cpu"] = "wall"
    threads: int | None = None
    minutes: float = 60.0
    eager: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("rounds", 1), ("warmup", 0), ("new_tokens", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise WinnowError(f"--{name.replace('_', '-')} {value} is not allowed: choose {least} or more")
        for name, choices in (("tower", ("each", "once")), ("clock", ("wall", "cpu"))):
            if getattr(self, name) not in choices:
                raise WinnowError(
                    f"--{name} {getattr(self, name)} is not known: {choose(getattr(self, name), choices, ' | ')}"
                )


def bench(overrides: Sequence[str], settings: Settings, folder: Path) -> dict[str, Any]:
    """Measure and write one file below `folder`; return what it holds.

    Raises
    ------
    WinnowError
        For a mistake in the overrides, and for what does not fit into memory or time.
    """
    found = variants(overrides, settings.eager)
    cell = found[0].cell
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    device = _device(cell.seen.device)
    if settings.clock == "cpu" and device.type != "cpu":
        raise WinnowError(f"--clock cpu does not see what {device} computes: choose wall")
    encodings = 1 if settings.tower == "once" else len(found) * (settings.warmup + settings.rounds)
    clock, dtype = Clock(device, settings.clock), cell.seen.dtype
    limits = machine(device, dtype, clock)
    check(found, device, limits, settings.warmup + settings.rounds, encodings, settings.minutes)
    prompt = nominal(cell.seen)
    with torch.inference_mode():
        reached = layer_rate(prompt.shape, cell.batch_size * (prompt.visual + prompt.text), device, dtype, clock)
    with progress("loading"):
        loaded = load_model(cell.seen)
    env = environment.describe(loaded) | {"before": clocks(device), "kernels": kernels()}
    with TemporaryDirectory() as place, files.writable(folder):
        prompts = Prompts(cell.seen, loaded, cell.batch_size, Path(place))
        total = len(found) * (settings.warmup + settings.rounds)
        with progress("timing", total) as advance:
            rounds = list(_rounds(found, loaded, prompts, settings, advance))[settings.warmup :]
        made = record(found, rounds, asdict(settings), device, limits, reached, env | {"after": clocks(device)})
        files.write_json(folder / f"{made['id']}.json", made)
    return made


def _device(name: str) -> torch.device:
    if name == "meta":
        raise WinnowError("model.device=meta computes nothing that could be timed: choose cpu or cuda")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _rounds(
    found: Sequence[Variant], loaded: Loaded, prompts: Prompts, settings: Settings, advance: Callable[[int], None]
) -> Iterator[Round]:
    """Every method once, in the same order, round after round; pictures are decoded and prepared anew each time."""
    model: Any = loaded.model
    clock = Clock(model.device, settings.clock)
    with reuse_tower(model) if settings.tower == "once" else nullcontext():
        for _ in range(settings.warmup + settings.rounds):
            taken: Round = {}
            for variant in found:
                before, inputs = _prepare(prompts, clock)
                with _one_line(variant, model.device):
                    reducer = variant.built.reducer if variant.built else None
                    common = variant.name == COMMON
                    taken[variant.name] = before, measure(loaded, inputs, reducer, settings.new_tokens, clock, common)
                advance(1)
            yield taken


def _prepare(prompts: Prompts, clock: Clock) -> tuple[dict[str, float], Any]:
    """Decode and encode the prompts; the device's clock sees the transfer, too."""
    marks = [clock.now()]
    videos = prompts.decode()
    marks.append(clock.now())
    inputs = prompts.encode(videos)
    marks.append(clock.now())
    clock.wait()
    return {"decode": clock.seconds(*marks[:2]), "preprocess": clock.seconds(*marks[1:])}, inputs


class _one_line(ExitStack):  # noqa: N801
    """Turn a lack of memory into one line."""

    def __init__(self, variant: Variant, device: torch.device) -> None:
        super().__init__()
        self.push(lambda kind, error, _: self._explain(error, variant, device))

    @staticmethod
    def _explain(error: BaseException | None, variant: Variant, device: torch.device) -> None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            raise WinnowError(
                f"reducer={variant.name} does not fit into the memory of {device}: "
                "choose fewer model.frames or a smaller batch_size"
            ) from error
