"""Each family at test size, from the command line to the result: what its own tests, below the harness, cannot see."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from runs import Run, only, result_of

from winnow.harness.config.choices import options

MODELS = Path(__file__).parents[3] / "configs" / "model"
TINY = ("model.weights=random", "model.scale=tiny", "model.frames=2", "model.dtype=float32", "model.device=cpu")


def family(name: str) -> str:
    """The family that a choice names, or the choice itself where another one names it."""
    settings: Any = OmegaConf.load(MODELS / f"{name}.yaml")
    return str(settings.get("family", name))


ONE_EACH = sorted({family(name): name for name in options("model")}.values())


@pytest.mark.parametrize("task", ["pico_image", pytest.param("pico_video", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ONE_EACH)
def test_it_answers_with_fewer_tokens(run: Run, results: Path, name: str, task: str) -> None:
    """Gemma 4's layers differ, so that transformers 5.23 refuses to say how many key-value heads all of them have."""
    code, _, said = run(f"model={name}", *TINY, "reducer=fastv", "ratio=0.5", f"tasks={task}", "limit=1")
    assert code == 0, said
    result = result_of(only(results))
    assert (result["documents"], result["failed"]) == (1, 0)
    assert result["cost"]["flops_share"] < 1
