"""How a judge is asked: what is sent and kept, which replies are asked for again, and after how long."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from values import usual

from winnow.harness.score.judge_client import BUSY, LARGEST, Judge, Reply, Server
from winnow.reducers.core.errors import WinnowError

QUESTION = [{"role": "user", "content": "yes?"}]
SAID = {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}


class Line:
    """Stands for the network: answers with what is given in turn, the last again and again, and notes what was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response | Exception) -> None:
        self.answers, self.sent, self.slept = [*answers], [], []  # type: ignore[var-annotated]
        monkeypatch.setattr(httpx, "stream", self.stream)
        monkeypatch.setattr("winnow.harness.score.judge_client.time.sleep", self.slept.append)

    @contextmanager
    def stream(self, *words: Any, **more: Any) -> Iterator[httpx.Response]:
        self.sent.append((words, more))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        yield answer


def said(body: Any = SAID, code: int = 200, **headers: str) -> httpx.Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(code, content=text, headers=headers)


def test_what_a_busy_server_says_is_no_refusal() -> None:
    assert {
        httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.INTERNAL_SERVER_ERROR, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    } == BUSY  # fmt: skip


def test_defaults() -> None:
    assert usual(Server) == {"key": "", "per_minute": 0, "workers": 4}
    assert usual(Reply) == {"prompt_tokens": 0, "reply_tokens": 0, "fresh": False}
    assert Judge(Server("u", "m"), Path())._next == 0


@pytest.mark.parametrize(
    "url", ["http://j/v1", "http://j/v1/", "http://j/v1/chat/completions", "http://j/v1/chat/completions/"]
)
def test_the_address_may_be_given_short_or_whole(url: str) -> None:
    assert Server(url, "m").endpoint == "http://j/v1/chat/completions"


@pytest.mark.parametrize(("key", "headers"), [("", {}), ("k", {"Authorization": "Bearer k"})])
def test_what_is_sent(key: str, headers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, said())
    assert Judge(Server("http://j/v1", "m", key), tmp_path).ask(QUESTION) == Reply("yes", 7, 2, fresh=True)
    body = {"model": "m", "messages": QUESTION, "temperature": 0, "max_tokens": 64}
    assert line.sent == [
        (("POST", "http://j/v1/chat/completions"), {"json": body, "headers": headers, "timeout": 60})
    ]  # fmt: skip
    assert line.slept == []


def test_replies_that_were_paid_for_are_found_under_their_old_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(monkeypatch, said())
    judge = Judge(Server("http://j/v1", "m", "k"), tmp_path)
    judge.ask(QUESTION)
    (kept,) = tmp_path.rglob("*.json")
    assert str(kept.relative_to(tmp_path)) == "bd/bd989a21189de91d9453a3bd535a4c9cf930b41c6393e2f4544e0c404a7eecbb.json"
    assert json.loads(kept.read_text()) == {"text": "yes", "prompt_tokens": 7, "reply_tokens": 2}
    assert judge.ask(QUESTION) == Reply("yes", 7, 2, fresh=False) and len(line.sent) == 1
    kept.write_text('{"text": "yes", "odd": 1}')  # a damaged one is asked for again
    assert judge.ask(QUESTION).fresh and len(line.sent) == 2


def test_replies_come_in_the_order_of_the_questions_and_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Line(monkeypatch, *(said(SAID | {"choices": [{"message": {"content": text}}]}) for text in "abc"))
    counted: list[int] = []
    asked = [[{"role": "user", "content": text}] for text in "123"]
    replies = Judge(Server("http://j", "m", workers=1), tmp_path).ask_all(asked, counted.append)
    assert [reply.text for reply in replies] == [*"abc"] and counted == [1, 1, 1]


@pytest.mark.parametrize(
    ("after", "slept"),
    [
        ({}, [1, 2, 4, 8]), ({"Retry-After": "3"}, [3] * 4), ({"Retry-After": "0.25"}, [0.25] * 4),
        ({"Retry-After": "3600"}, [60] * 4), ({"Retry-After": "1.2.3"}, [1, 2, 4, 8]),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, [1, 2, 4, 8]),
    ],
)  # fmt: skip
def test_a_busy_server_is_given_time(
    after: dict[str, str], slept: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times in all, after as long as it says, at most a minute; else twice as long each time."""
    line = Line(monkeypatch, said(b"x" * 300, 503, **after))
    with pytest.raises(WinnowError) as caught:
        Judge(Server("http://j", "m"), tmp_path).ask(QUESTION)
    assert f"(503 {'x' * 200})" in str(caught.value)
    assert line.slept == slept and len(line.sent) == 5


def test_what_breaks_on_the_way_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [httpx.ConnectError("no"), httpx.InvalidURL("no"), said(b"[]"), said(b"null")]
    line = Line(monkeypatch, *broken, said())
    assert Judge(Server("http://j", "m"), tmp_path).ask(QUESTION).text == "yes"
    assert len(line.sent) == 5 and line.slept == [1, 2, 4, 8]


def test_a_refusal_is_shown_in_part_and_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, said(b"y" * 300, 404))
    with pytest.raises(WinnowError, match=rf"^the judge http://j/chat/completions refuses \(404 {'y' * 200}\)$"):
        Judge(Server("http://j", "m"), tmp_path).ask(QUESTION)
    assert len(line.sent) == 1


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        ({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}, Reply("a", 0, 0, True)),
        ({"choices": [{"message": {"content": None}}], "usage": None}, Reply("", 0, 0, True)),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 3}}, Reply("a", 3, 0, True)),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"completion_tokens": 3}}, Reply("a", 0, 3, True)),
    ],
)
def test_a_reply_may_lack_text_and_counts(
    body: Any, reply: Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Line(monkeypatch, said(body))
    assert Judge(Server("http://j", "m"), tmp_path).ask(QUESTION) == reply


def test_a_reply_of_a_megabyte_is_the_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.dumps(SAID).encode()
    line = Line(monkeypatch, said(whole + b" " * (2**20 + 1 - len(whole))), said(whole + b" " * (2**20 - len(whole))))
    assert Judge(Server("http://j", "m"), tmp_path).ask(QUESTION).text == "yes" and len(line.sent) == 2
    assert LARGEST == 2**20


def test_no_more_requests_than_allowed_after_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two a second: the second waits for what is left of its half second, the third comes late enough."""
    line = Line(monkeypatch, said())
    clock = [0.0]
    monkeypatch.setattr("winnow.harness.score.judge_client.time.monotonic", lambda: clock[0])
    judge = Judge(Server("http://j", "m", per_minute=120), tmp_path)
    for clock[0] in 10.0, 10.2, 11.5:
        judge.ask([{"role": "user", "content": str(clock)}])
    assert line.slept == pytest.approx([0, 0.3, 0])
