"""What composing reads from a method's source is what the imported class says."""

import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

import pytest
from values import usual

from winnow.harness.config.declared import Declared, declared
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import METHODS, find
from winnow.reducers.core.schedule import SCHEDULES

TARGETS = [f"winnow.reducers.{name}:{cls}" for name, cls in METHODS.items()]


def test_a_class_that_declares_nothing_has_and_needs_nothing() -> None:
    assert usual(Declared) == {
        "schedules": (), "takes_ratio": False, "ratio": None, "native": (), "seeded": False, "needs_relevance": False,
        "checkpoints": (), "positions": (),
    }  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_source_says_what_the_class_says(target: str) -> None:
    cls = find(target)
    known = {field.name: field for field in fields(cls)}
    hint = get_type_hints(cls).get("schedule")
    kinds = set(get_args(hint) if isinstance(hint, UnionType) else [hint]) if hint else set()
    names = {cls: kind for kind, cls in SCHEDULES.items()} | {type(None): "none"}
    ratio = known["ratio"].default if "ratio" in known else None
    assert ratio is not MISSING
    ways = get_type_hints(cls).get("positions") if "positions" in known else None
    texts = {text for part in (ways, *get_args(ways)) for text in (part, *get_args(part)) if isinstance(text, str)}
    said = declared(target)
    assert set(said.positions) == texts and len(said.positions) == len(texts)
    assert set(said.schedules) == {names[kind] for kind in kinds} and len(said.schedules) == len(kinds)
    rest = cls.native, cls.seeded, cls.needs_relevance, cls.checkpoints, said.positions
    assert said == Declared(said.schedules, "ratio" in known, ratio, *rest)
    assert {*cls.native, *cls.checkpoints} <= set(known)


def test_source_is_read_without_torch() -> None:
    code = f"import sys; from winnow.harness.config.declared import declared; [declared(t) for t in {TARGETS}]"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_computed_attributes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from winnow.reducers.core.base import Reducer\n\nclass Odd(Reducer):\n    ratio: float = 1 / 2\n"
    (tmp_path / "oddly.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WinnowError, match="oddly:Odd gives ratio no literal value"):
        declared("oddly:Odd")
