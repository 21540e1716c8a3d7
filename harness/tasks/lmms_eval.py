"""The border to lmms-eval 0.7: its import, its task manager, and a model that replays recorded answers.

Everything in lmms-eval that would spoil a run is met here or in `documents` and `scoring`: it reads HF_HOME and the
rank variables at import, removes other people's log sinks, cleans up the model behind the caller's back, exits the
interpreter when a video is missing, and wraps errors in retries.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from winnow.reducers.core.errors import WinnowError, choose

RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
KEY, NOBODY = "OPENAI_API_KEY", "none"
"""Some tasks make a judge's client when they are loaded, which wants a key; nobody is asked."""


def prepare() -> None:
    """Import lmms-eval (seconds) and quieten it; safe to call again."""
    os.environ.setdefault("HF_HOME", str(Path.home() / ".cache" / "huggingface"))
    with quiet():
        import lmms_eval.evaluator
        import lmms_eval.tasks  # noqa: F401
    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="CRITICAL")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries' chatter off the screen, and their view single-process: ranks are the launcher's business.

    A key for a judge is there, if only in name.
    """
    ranks = {name: os.environ.pop(name) for name in RANKS if name in os.environ}
    keyless = KEY not in os.environ
    os.environ.setdefault(KEY, NOBODY)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        nowhere = _nowhere()
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        os.environ.update(ranks)
        if keyless:
            os.environ.pop(KEY, None)


@cache
def _nowhere() -> TextIO:
    """Open for good: nltk, for one, keeps the stream that it found at its import."""
    return Path(os.devnull).open("w")


def task_manager(folders: Sequence[Path], prompt: str | None = None) -> Any:
    """Index the tasks of some folders only: all 1985 take seconds, and a built-in name would win over a local one.

    Parameters
    ----------
    folders : sequence of Path
    prompt : str or None
        Which of the prompts that tasks keep for particular models to use; None: the default one.
    """
    from lmms_eval.tasks import TaskManager

    return TaskManager(
        "WARNING", include_defaults=False, include_path=[str(folder) for folder in folders], model_name=prompt
    )


def check_known(names: Sequence[str], manager: Any, folders: Sequence[Path]) -> None:
    """Refuse tasks that the folders do not hold.

    Raises
    ------
    WinnowError
        Lists those that they do hold.
    """
    known = list(manager.all_subtasks)
    for name in names:
        if name not in known:
            places = " or ".join(map(str, folders))
            raise WinnowError(f"unknown task '{name}' in {places}: {choose(name, sorted(known) or ['another folder'])}")


def replay(answers: Mapping[tuple[str, int], str]) -> Any:
    """Make an lmms-eval model that answers from `answers`, a mapping from task and document to the text."""
    from lmms_eval.api.model import lmms

    class Replay(lmms):
        """Answers what was recorded."""

        def generate_until(self, requests: list[Any]) -> list[str]:
            return [answers[request.args[4], request.args[3]] for request in requests]

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            raise WinnowError("tasks scored by loglikelihood cannot be run: choose one that generates its answer")

        def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
            raise WinnowError("tasks of several rounds cannot be run: choose one that asks once")

        def clean(self) -> None:
            """Keep everything: lmms-eval's own version deletes the modules of the model."""

        def __repr__(self) -> str:
            return "winnow.Replay"

    return Replay()
