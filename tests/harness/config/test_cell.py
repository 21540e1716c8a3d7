"""A cell comes back from a file as it went."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cells import cell
from values import usual

from winnow.harness.config.cell import Cell, Method, from_plain
from winnow.harness.config.schema import DownsampleConfig, MediaConfig, ShareConfig, StressConfig, TrackerConfig

PLAIN = Method("a", "x:A", {})


@pytest.mark.parametrize(
    "words",
    [
        ("reducer=fastv", "ratio=0.25", "schedule=pico", "downsample.frames=2"),
        ("reducer=compose", "reducer.entrance.name=prumerge", "reducer.entrance.ratio=0.5", "reducer.llm.name=vtw"),
        ("reducer=aim", "budget.mean=0.5", "model=llava_ov", "limit=3"),
    ],
)
def test_a_cell_comes_back_from_json_and_yaml(words: tuple[str, ...], tmp_path: Path) -> None:
    made = cell(*words, f"results={tmp_path}")
    text = json.dumps(made.plain())
    assert from_plain(json.loads(text)) == made
    assert from_plain(yaml.safe_load(yaml.safe_dump(json.loads(text)))) == made


def test_numbers_that_a_sum_made_name_the_run_that_was_meant() -> None:
    one, other = (cell("reducer=fastv", f"ratio={ratio}") for ratio in ("0.3", "0.30000000000000004"))
    assert one == other and other.method.ratio == 0.3
    one, other = (cell("reducer=fastv", f"budget.mean={mean}") for mean in ("0.7", "0.7000000000000001"))
    assert one == other
    assert cell("reducer=vas", "reducer.r=0.30000000000000004").method.args["r"] == 0.3


def test_what_a_cell_and_a_method_mean_where_nothing_is_said() -> None:
    assert usual(Cell) == {
        "seed": 0, "batch_size": 16, "limit": None, "force": False, "downsample": DownsampleConfig(),
        "stress": StressConfig(), "media": MediaConfig(), "share": ShareConfig(), "tracker": TrackerConfig(),
    }  # fmt: skip
    assert usual(Method) == {
        "schedule": None, "ratio": None, "takes_ratio": False, "seeded": False, "parts": (), "checkpoints": ()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "loads"),
    [
        (Method("x", "x:Y", {"text": "weights"}), False),
        (Method("x", "x:Y", {"text": None}, checkpoints=("text",)), False),
        (Method("x", "x:Y", {"text": "weights"}, checkpoints=("text",)), True),
        (Method("x", "x:Y", {"text": "weights"}, checkpoints=("other", "text")), True),
        (Method("x", "x:Y", {}, parts=(PLAIN, replace(PLAIN, args={"w": "y"}, checkpoints=("w",)))), True),
        (Method("x", "x:Y", {}, parts=(PLAIN, PLAIN)), False),
    ],
)  # fmt: skip
def test_whether_a_method_loads_weights_of_its_own(method: Method, loads: bool) -> None:
    assert method.loads == loads
