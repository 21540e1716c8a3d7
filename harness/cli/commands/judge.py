"""`winnow judge RUN`: the second stage of tasks with open answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from winnow.reducers.core.errors import WinnowError


def judge(
    run: Annotated[str, typer.Argument(help="The name of a run, or the beginning of it.")],
    url: Annotated[str, typer.Option(help="Server of OpenAI's protocol; default $OPENAI_BASE_URL.")] = "",
    model: Annotated[str, typer.Option(help="Which model judges.")] = "gpt-3.5-turbo",
    per_minute: Annotated[float, typer.Option(help="At most so many requests a minute; 0: no limit.")] = 0.0,
    workers: Annotated[int, typer.Option(min=1, help="Requests under way at the same time.")] = 4,
    price_in: Annotated[float, typer.Option(help="Price of a million tokens of questions.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Price of a million tokens of replies.")] = 0.0,
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
) -> None:
    """Let a language model judge the open answers of a run; stopped, the same command goes on; prints what it cost."""
    from winnow.harness.common.find_run import find_run
    from winnow.harness.common.progress import progress
    from winnow.harness.score.judge_client import Judge, Server, replies_folder
    from winnow.harness.score.judged import judge_run

    address = url or os.environ.get("OPENAI_BASE_URL", "")
    if not address:
        raise WinnowError("there is no judge: say --url http://localhost:8000/v1, or set OPENAI_BASE_URL")
    server = Server(address, model, os.environ.get("OPENAI_API_KEY", ""), per_minute, workers)
    folder = find_run(run, results, finished=True)
    with progress("judging") as advance:
        tasks = judge_run(folder, Judge(server, replies_folder()), (price_in, price_out), advance)
    for task in tasks:
        said = task["judge"]
        half = (said["high"] - said["low"]) / 2
        print(
            f"{task['task']}: accuracy {said['mean']:.1f} ± {half:.1f}, score {said['score']:.2f}, exact match "
            f"{task['mean']:.1f}; {said['asked']} asked, {said['remembered']} remembered, {said['unread']} unread; "
            f"{said['prompt_tokens']} + {said['reply_tokens']} tokens, cost {said['cost']:g}"
        )
