"""From a judge's replies to accuracy and score of a finished run."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.finished import amend
from winnow.harness.common.run_files import read_samples, read_scores
from winnow.harness.run.result import JudgeResult, TaskResult, read_result
from winnow.harness.score.judge_client import Judge, Message, Reply
from winnow.harness.score.judge_verdicts import verdicts_path
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import figure, percent
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of
from winnow.harness.tasks.lmms_eval import prepare, quiet
from winnow.reducers.core.errors import WinnowError

ASKERS = {"activitynetqa": "get_eval", "moviechat": "get_eval_generic"}
"""What asks the judge in each family's ``utils.py``."""
BRACES = re.compile(r"\{.*?\}", re.DOTALL)


def judge_run(
    folder: Path, judge: Judge, prices: tuple[float, float], advance: Callable[[int], None] = lambda count: None
) -> list[TaskResult]:
    """Judge all open answers of a finished run; the result and the verdicts are kept with it.

    Parameters
    ----------
    folder : Path
        Of the run.
    judge : Judge
    prices : tuple of float
        Of a million tokens of questions and of replies.

    Raises
    ------
    WinnowError
        If the run holds no open answers, or the judge cannot be asked.
    """
    result = read_result(folder)
    open_tasks = [task for task in result["tasks"] if _benchmark(task["task"])]
    if not open_tasks:
        raise WinnowError(f"run {result['id']} holds no task that a judge scores: they are {', '.join(judged_tasks())}")
    for task in open_tasks:
        benchmark = BENCHMARKS[task["task"]]
        samples = [*read_samples(folder, task["task"])]
        scores = read_scores(folder).get((task["task"], str(task["metric"])), {})
        answered = [sample for sample in samples if sample["status"] == "ok" and sample["answer"].strip()]
        replies = judge.ask_all(questions(benchmark, answered), advance)
        said = {s["doc_id"]: reply for s, reply in zip(answered, replies, strict=True)}
        verdicts = [_verdict(sample, said.get(sample["doc_id"])) for sample in samples]
        media = [scores[sample["doc_id"]].media if sample["doc_id"] in scores else "" for sample in samples]
        task["judge"] = summarise(verdicts, media, list(said.values()), judge.server.model, prices)
        files.write_lines(verdicts_path(folder, task["task"]), verdicts)
    amend(folder, result)
    return open_tasks


def judged_tasks() -> list[str]:
    """The tasks that a judge scores."""
    return sorted(name for name, benchmark in BENCHMARKS.items() if benchmark.judge)


def _benchmark(name: str) -> Benchmark | None:
    found = BENCHMARKS.get(name)
    return found if found and found.judge else None


def questions(benchmark: Benchmark, samples: Sequence[Mapping[str, Any]]) -> list[list[Message]]:
    """What lmms-eval would ask its judge about these answers: its own code writes it, and sends nothing."""
    prepare()
    ask, sent = _asker(str(benchmark.judge))
    for sample in samples:
        with quiet():
            ask(sample["question"], sample["target"], sample["answer"], 64)
    return [payload["messages"] for payload in sent]


def _asker(family: str) -> tuple[Callable[..., Any], list[dict[str, Any]]]:
    """Load a family's own judge, with a network that only takes notes."""
    benchmark = next(found for found in BENCHMARKS.values() if found.family == family)
    spec = spec_from_file_location(f"winnow_judge_{family}", folder_of(benchmark) / "utils.py")
    if spec is None or spec.loader is None:
        raise WinnowError(f"lmms-eval has no judge for {family}: install lmms-eval 0.7.3")
    module: Any = module_from_spec(spec)
    with quiet():
        spec.loader.exec_module(module)
    sent: list[dict[str, Any]] = []
    module.requests = _Notebook(sent)
    return getattr(module, ASKERS[family]), sent


class _Notebook:
    """Stands for the library `requests`: notes what is sent, and answers at once."""

    class exceptions:  # noqa: N801
        """The errors that lmms-eval catches by name."""

        HTTPError = JSONDecodeError = RequestException = ValueError

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.sent = sent

    def post(self, url: str, json: dict[str, Any], **more: Any) -> _Notebook:
        """Note what is sent."""
        self.sent.append(json)
        return self

    def raise_for_status(self) -> None:
        """There is no error."""

    def json(self) -> dict[str, Any]:
        """Any reply will do."""
        return {"choices": [{"message": {"content": "noted"}}], "model": ""}


def _verdict(sample: Mapping[str, Any], reply: Reply | None) -> dict[str, Any]:
    right, score = (None, None) if reply is None else read(reply.text)
    return {
        "task": sample["task"],
        "doc_id": sample["doc_id"],
        "right": right,
        "score": score,
        "reply": reply.text if reply else None,
    }


def read(text: str) -> tuple[bool | None, int | None]:
    """Read yes or no and the score, 0 to 5, from a reply such as ``{'pred': 'yes', 'score': 4}``; else None."""
    found = BRACES.search(text)
    try:
        values = ast.literal_eval(found.group()) if found else {}
        said, score = str(values["pred"]).lower(), int(values["score"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        return None, None
    if said not in {"yes", "no"} or not 0 <= score <= 5:
        return None, None
    return said == "yes", score


def summarise(
    verdicts: Sequence[Mapping[str, Any]],
    media: Sequence[str],
    replies: Sequence[Reply],
    model: str,
    prices: tuple[float, float],
) -> JudgeResult:
    """Accuracy over all documents, the mean score over all, and what the judge cost this time."""
    right = percent(figure([float(bool(verdict["right"])) for verdict in verdicts], lay_out(media)))
    fresh = [reply for reply in replies if reply.fresh]
    tokens = sum(reply.prompt_tokens for reply in fresh), sum(reply.reply_tokens for reply in fresh)
    return {
        "model": model,
        **right,
        "accuracy": right["mean"],
        "score": round(sum(verdict["score"] or 0 for verdict in verdicts) / len(verdicts), 4),
        "documents": len(verdicts),
        "unread": sum(verdict["reply"] is not None and verdict["right"] is None for verdict in verdicts),
        "asked": len(fresh),
        "remembered": len(replies) - len(fresh),
        "prompt_tokens": tokens[0],
        "reply_tokens": tokens[1],
        "cost": round(sum(count * price for count, price in zip(tokens, prices, strict=True)) / 1e6, 6),
    }
