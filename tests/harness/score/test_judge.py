"""The second stage of open questions, against a server of OpenAI's protocol that the test runs."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import written
from runs import Run, only, result_of
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.common import files
from winnow.harness.score.judge_client import Judge, Server
from winnow.harness.score.judge_verdicts import keep_verdict, verdicts_path
from winnow.harness.score.judged import read
from winnow.harness.score.scoring import Scored
from winnow.reducers.core.errors import WinnowError

OPEN = ("tasks=activitynetqa", "tasks.tasks=[activitynetqa,moviechat_global]")


class Stub:
    """Says yes where the predicted answer holds the correct one; refuses the first requests, and all after a while."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.busy, self.lasts = 0, 10**6
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if stub.busy > 0 or len(stub.bodies) >= stub.lasts:
                    code, stub.busy = (429 if stub.busy > 0 else 401), stub.busy - 1
                    self.send_response(code)
                    self.send_header("Retry-After", "0")
                    self.end_headers()
                    self.wfile.write(b"not now")
                    return
                stub.bodies.append(body | {"path": self.path, "key": self.headers["Authorization"]})
                content = json.dumps(stub.reply(body)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def reply(self, body: dict[str, Any]) -> dict[str, Any]:
        lines = dict(line.split(": ", 1) for line in body["messages"][-1]["content"].splitlines() if ": " in line)
        good = lines["Correct Answer"] in lines["Predicted Answer"]
        text = "{'pred': 'yes', 'score': 5}" if good else "{'pred': 'no', 'score': 1}"
        return {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


@pytest.fixture
def stub() -> Iterator[Stub]:
    made = Stub()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()


@pytest.fixture
def answered(run: Run, fixtures: Path, results: Path) -> Path:
    """A finished run of pico on two tasks with open answers."""
    assert (
        run("tasks=activitynetqa", "tasks.tasks=[activitynetqa,moviechat_global]", f"tasks.data={fixtures}").code == 0
    )
    return only(results)


def judge(folder: Path, stub: Stub, *more: str) -> Any:
    words = ["judge", folder.name[:8], "--url", stub.url, "--results", str(folder.parent), "--model", "m", *more]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_stages(
    answered: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, fixtures: Path
) -> None:
    """Exact match first, then a verdict for every document; what was asked is not asked again, and costs nothing."""
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    before = {task["task"]: task for task in result_of(answered)["tasks"]}
    assert all("judge" not in task and task["metric"] == "exact_match" for task in before.values())
    stub.busy = 2
    done = judge(answered, stub, "--price-in", "2", "--price-out", "10", "--workers", "1")
    assert done.exit_code == 0 and len(stub.bodies) == 6
    assert stub.bodies[0]["path"] == "/v1/chat/completions" and stub.bodies[0]["key"] == "Bearer secret"
    assert "3 asked, 0 remembered, 0 unread; 300 + 30 tokens, cost 0.0009" in done.stdout
    for task in result_of(answered)["tasks"]:
        samples = [json.loads(x) for x in (answered / f"samples_{task['task']}.jsonl").read_text().splitlines()]
        right = [sample["target"] in sample["answer"] for sample in samples]
        assert task["judge"]["mean"] == pytest.approx(100 * sum(right) / 3, abs=1e-3)
        assert task["judge"]["score"] == pytest.approx(sum(5 if good else 1 for good in right) / 3, abs=1e-3)
        assert task["mean"] == before[task["task"]]["mean"]
        verdicts = [
            json.loads(x)["right"] for x in (answered / f"judged_{task['task']}.jsonl").read_text().splitlines()
        ]
        assert verdicts == right
    again = judge(answered, stub)
    assert len(stub.bodies) == 6 and "0 asked, 3 remembered" in again.stdout and "cost 0" in again.stdout
    shown = run(*OPEN, f"tasks.data={fixtures}")
    assert " / " in shown.out
    told = [task["judge"] for task in result_of(answered)["tasks"]]
    assert CliRunner().invoke(app, ["rescore", answered.name, "--results", str(answered.parent)]).exit_code == 0
    assert [task["judge"] for task in result_of(answered)["tasks"]] == told


def test_verdicts_outlive_a_new_score_of_the_same_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were paid for; another label is another question to the judge."""
    samples = [{"doc_id": n, "question": "who?", "target": "Ann", "answer": "Bob", "status": "ok"} for n in range(2)]
    said = {"model": "m", "mean": 50.0, "low": 40.0, "high": 60.0, "score": 3.0}
    plain = written.result("r") | {"tasks": [written.task("quiz", judge=said), written.task("other")]}

    def score(samples: list[dict[str, Any]]) -> Any:
        files.write_json(tmp_path / "result.json", plain)
        found = Scored({"task": "quiz", "metric": "right", "mean": 0}, samples, [])
        keep_verdict(tmp_path, found)
        return found.summary.get("judge")

    files.write_lines(tmp_path / "samples_quiz.jsonl", samples)
    verdicts_path(tmp_path, "quiz").touch()
    assert score([sample | {"scores": {"right": 1.0}} for sample in samples]) == said and not capsys.readouterr().err
    assert score([samples[0], samples[1] | {"target": "Bob"}]) is None
    assert "quiz has other labels or answers than the judge saw" in capsys.readouterr().err
    assert not verdicts_path(tmp_path, "quiz").exists()
    assert score(samples[:1]) is None and score([*samples, samples[0]]) is None
    (tmp_path / "samples_quiz.jsonl").write_text("{")
    assert score(samples) is None


def test_what_has_no_answer_is_not_sent_but_counts_as_wrong(
    answered: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three documents one failed after it had said something, one said nothing, and one is right."""
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    path = answered / "samples_activitynetqa.jsonl"
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    changes = {"status": "failed", "answer": "secret"}, {"answer": "  "}, {"answer": samples[2]["target"]}
    path.write_text("".join(json.dumps(sample | more) + "\n" for sample, more in zip(samples, changes, strict=True)))
    assert judge(answered, stub).exit_code == 0
    asked = [body["messages"][-1]["content"] for body in stub.bodies]
    assert len(asked) == 1 + 3 and not any("secret" in text for text in asked)
    said = next(task["judge"] for task in result_of(answered)["tasks"] if task["task"] == "activitynetqa")
    assert (said["documents"], said["asked"], said["unread"]) == (3, 1, 0)
    assert said["mean"] == said["accuracy"] == pytest.approx(100 / 3, abs=1e-3)
    assert said["score"] == pytest.approx(5 / 3, abs=1e-3)
    verdicts = [json.loads(line) for line in (answered / "judged_activitynetqa.jsonl").read_text().splitlines()]
    assert [(verdict["right"], verdict["reply"] is None) for verdict in verdicts] == [
        (None, True), (None, True), (True, False)
    ]  # fmt: skip


def test_replies_that_cannot_be_read_count_as_wrong(
    answered: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    texts = ["{'pred': 'yes', 'score': 4}", "no idea", "{'pred': 'yes', 'score': 2}"] * 2
    monkeypatch.setattr(
        stub, "reply", lambda body: {"choices": [{"message": {"content": texts[len(stub.bodies) - 1]}}]}
    )
    assert judge(answered, stub, "--workers", "1").exit_code == 0
    for task in result_of(answered)["tasks"]:
        said = task["judge"]
        assert (said["documents"], said["asked"], said["unread"]) == (3, 3, 1)
        assert (said["mean"], said["score"]) == (pytest.approx(200 / 3, abs=1e-3), 2)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"url": "other"}, 2),
        ({"model": "another"}, 2),
        ({"key": "of another user"}, 1),
        ({"url": "longer"}, 1),
        ({"per_minute": 6000.0, "workers": 1}, 1),
    ],
)
def test_replies_are_those_of_one_server_and_model(
    stub: Stub, tmp_path: Path, change: dict[str, Any], asked: int
) -> None:
    """Whatever else changes, what this model of this server said is remembered."""
    more = change | ({"url": stub.url.replace("127.0.0.1", "localhost")} if change.get("url") == "other" else {})
    more |= {"url": f"{stub.url}/chat/completions/"} if change.get("url") == "longer" else {}
    question = [{"role": "user", "content": "Correct Answer: red\nPredicted Answer: red"}]
    first = Judge(Server(stub.url, "m"), tmp_path).ask(question)
    second = Judge(Server(**{"url": stub.url, "model": "m"} | more), tmp_path).ask(question)
    assert len(stub.bodies) == asked and second.fresh == (asked == 2)
    assert first.text == second.text and (first.prompt_tokens, second.prompt_tokens) == (100, 100)


def test_another_question_is_asked_anew(stub: Stub, tmp_path: Path) -> None:
    judged = Judge(Server(stub.url, "m"), tmp_path)
    asked = [f"Correct Answer: red\nPredicted Answer: {said}" for said in ("red", "blue", "red")]
    replies = [judged.ask([{"role": "user", "content": text}]) for text in asked]
    assert [reply.fresh for reply in replies] == [True, True, False]
    assert [read(reply.text)[0] for reply in replies] == [True, False, True]


def test_stopped_judge_goes_on(answered: Path, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    stub.lasts = 2
    with pytest.raises(WinnowError, match=r"the judge http.*/v1/chat/completions refuses \(401 not now\)"):
        judge(answered, stub, "--workers", "1")
    assert all("judge" not in task for task in result_of(answered)["tasks"])
    stub.lasts = 10**6
    assert "1 asked, 2 remembered" in judge(answered, stub).stdout
    assert len(stub.bodies) == 6


def test_refusals(run: Run, results: Path, answered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(WinnowError, match="there is no judge: say --url"):
        CliRunner().invoke(app, ["judge", answered.name], catch_exceptions=False)
    assert run("limit=2").code == 0
    (other,) = (path.parent for path in results.glob("*/DONE") if path.parent != answered)
    with pytest.raises(WinnowError, match="holds no task that a judge scores: they are activitynetqa, moviechat_br"):
        CliRunner().invoke(
            app, ["judge", other.name, "--url", "http://x", "--results", str(results)], catch_exceptions=False
        )
    with pytest.raises(WinnowError, match=r"^nope is no run in"):
        CliRunner().invoke(
            app, ["judge", "nope", "--url", "http://x", "--results", str(results)], catch_exceptions=False
        )


def test_rate_is_limited(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("winnow.harness.score.judge_client.time.sleep", slept.append)
    monkeypatch.setattr("winnow.harness.score.judge_client.time.monotonic", lambda: 100.0)
    asked = Judge(Server(stub.url, "m", per_minute=30, workers=1), tmp_path)
    texts = ["Correct Answer: red\nPredicted Answer: " + word for word in ("red", "blue", "green")]
    asked.ask_all([[{"role": "user", "content": text}] for text in texts])
    assert slept == [0, 2, 4]


def test_judge_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.score.judge_client.time.sleep", lambda seconds: None)
    with pytest.raises(WinnowError, match=r"cannot be asked .*: start it, mend --url, and run the same command again"):
        Judge(Server("http://127.0.0.1:9", "m"), tmp_path).ask([{"role": "user", "content": "?"}])


class Answering:
    """A server that says one thing, and notes who asked it with which key."""

    def __init__(self, code: int, body: bytes, **headers: str) -> None:
        self.keys: list[str | None] = []
        keys = self.keys

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                keys.append(self.headers["Authorization"])
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


def ask(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ask once, and return the error."""
    monkeypatch.setattr("winnow.harness.score.judge_client.time.sleep", lambda seconds: None)
    with pytest.raises(WinnowError) as caught:
        Judge(Server(url, "m", "s3cret-key"), cache).ask([{"role": "user", "content": "?"}])
    assert not list(cache.rglob("*.json"))
    return str(caught.value)


def test_the_key_follows_no_redirect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Answering(200, b"{}")
    first = Answering(307, b"", Location=f"{other.url}/chat/completions")
    assert "refuses (307" in ask(first.url, tmp_path, monkeypatch)
    assert other.keys == [] and first.keys == ["Bearer s3cret-key"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x" * (1 << 21), "its reply has more than"),
        (b"no json", "its reply is none of OpenAI's protocol"),
        (b"[]", "its reply is none of OpenAI's protocol"),
        (b'{"choices": []}', "its reply is none of OpenAI's protocol"),
        (b'{"choices": [{"message": {"content": [1]}}]}', "its reply is none of OpenAI's protocol"),
        (b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -1}}', "its reply is none of"),
    ],
)
def test_what_is_no_reply_is_not_kept(body: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Answering(200, body)
    assert said in ask(server.url, tmp_path, monkeypatch) and len(server.keys) == 5


def test_errors_are_printed_without_the_key_and_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ask(Answering(403, b"no s3cret-key\x1b[2J\nhere").url, tmp_path, monkeypatch)
    assert "s3cret" not in said and said.isprintable() and "403 no" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'pred': 'yes', 'score': 4.8}", (True, 4)),
        ('Sure: {"pred": "No", "score": 0}.', (False, 0)),
        ("yes", (None, None)),
        ("{'pred': 'maybe', 'score': 3}", (None, None)),
        ("{'pred': 'yes', 'score': 9}", (None, None)),
        ("{'pred': yes}", (None, None)),
    ],
)
def test_replies_are_read(text: str, expected: tuple[bool | None, int | None]) -> None:
    assert read(text) == expected
