"""Many random cases in few tests: a test takes longer to begin and to report than a small case to compute."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

BLOCK = 50


def seeds(number: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Ask a test that takes a `seed` so many times, `BLOCK` in one; a failure says the seed."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def run(block: range, **others: Any) -> None:
            for seed in block:
                try:
                    test(seed=seed, **others)
                except BaseException as error:
                    error.add_note(f"with seed={seed}")
                    raise

        taken = inspect.signature(test).parameters
        block = inspect.Parameter("block", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        rest = [parameter for name, parameter in taken.items() if name != "seed"]
        run.__signature__ = inspect.Signature([block, *rest])  # type: ignore[attr-defined]
        blocks = [range(start, min(start + BLOCK, number)) for start in range(0, number, BLOCK)]
        names = [f"{block.start}-{block.stop - 1}" for block in blocks]
        return pytest.mark.parametrize("block", blocks, ids=names)(run)

    return decorate
