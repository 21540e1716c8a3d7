"""What was composed once is used again, and is what Hydra would compose anew."""

from pathlib import Path
from typing import Any

import pytest
from cells import by_hydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError
from values import usual

from winnow.harness.config import choices
from winnow.harness.config.compose import cell_at
from winnow.harness.config.composed import Composed, remembered
from winnow.harness.config.expand import each, expand
from winnow.harness.config.overrides import cell_from
from winnow.harness.sweep.cells import cells_of
from winnow.reducers.core.errors import WinnowError


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("reducer=fastv", "ratio=0.3", "schedule=pico_k", "schedule.k=5", "reducer.rows=text"),
        ("schedule.k=3", "reducer=random", "schedule=k", "model=llava15", "model.frames=2"),
        ("~model.arch.tied", "+model.arch.tied=false", "budget.mean=0.5", "reducer=vtw"),
        ("debug=shapes", "reducer=aim", "limit=2"),
        ("tasks=gqa", "tasks.data=fixtures", "share=none", "results=${oc.env:HOME}"),
        ("reducer=custom", "reducer.target=a:B", "+reducer.args.x=[1,2]"),
    ],
)
def test_one_command_is_composed_as_by_hydra(words: tuple[str, ...]) -> None:
    found = by_hydra(*words)
    for _ in range(2):
        assert cells_of(expand(words, multirun=False)) == [found]
        assert [cell_at(job, {}) for job in each([words, words])] == [found, found]


def test_values_are_those_of_one_command_alone() -> None:
    assert cell_from(["seed=3", "reducer=fastv", "schedule.k=4"]).seed == 3
    after = cell_from(["reducer=fastv"])
    assert after.seed == 0 and after == by_hydra("reducer=fastv")


@pytest.mark.parametrize("name", ["ratio", "seed", "limit", "batch_size"])
def test_a_base_that_refers_to_a_number_is_not_free_of_it(name: str) -> None:
    class Loader:
        def load_configuration(self, config: str, words: list[str], mode: RunMode) -> Any:
            assert (config, mode) == ("config", RunMode.RUN)
            told = {
                "runtime": {"choices": {"reducer": "fastv"}},
                "mode": RunMode.MULTIRUN if "sweep" in words else None,
            }
            return OmegaConf.create({name: 1, "x": f"${{{words[0]}}}", "hydra": told})

    memory = Composed(Loader(), {})
    free, bound = memory.base(("other",)), memory.base((name, "sweep"))
    assert (free.free, free.sweeps, bound.free, bound.sweeps) == (True, False, False, True)
    assert free.choices == {"reducer": "fastv"} and "hydra" not in free.config and memory.base(("other",)) is free
    with pytest.raises(ConfigAttributeError):
        free.config.unheard = 1


def test_a_preset_that_sweeps_does_so_without_being_told() -> None:
    assert len(expand(["experiment=pico"], multirun=False).jobs) == 12
    assert len(expand(["experiment=pico", "reducer=none,fastv"], multirun=False).jobs) == 6


@pytest.mark.parametrize("word", ["ratio=0.5,0.25", "reducer=none,fastv", "seed=range(3)"])
def test_lists_are_for_sweeps(word: str) -> None:
    for compose in (cell_from, lambda words: expand(words, multirun=False)):
        with pytest.raises(WinnowError, match=word.partition("=")[0]):
            compose([word])


def test_a_changed_file_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choices, "folders", lambda: (tmp_path,))
    file = tmp_path / "reducer" / "mine.yaml"
    file.parent.mkdir()
    before = remembered(None).bases
    file.write_text("a: 1")
    first = remembered(None).bases
    assert first is not before and first is remembered(None).bases
    file.write_text("a: 12")
    assert first is not remembered(None).bases


def test_a_folder_of_ones_own_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    words = [f"hydra.searchpath=[file://{tmp_path}]", "tasks=mine"]
    for name in ("first", "second"):
        (tmp_path / "tasks" / "mine.yaml").write_text(f"name: mine\ntasks: [{name}]\n")
        (cell,) = cells_of(expand(words, multirun=False))
        assert cell.tasks.tasks == [name]


def test_what_is_told_is_whole_and_stays() -> None:
    assert usual(Composed) == {}
