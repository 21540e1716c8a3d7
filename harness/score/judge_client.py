"""Asks a language model whether answers mean what they should: the second stage of open questions.

Any server that speaks OpenAI's chat protocol will do, a local one as well. What was asked before is not asked again:
replies are kept by the content of the question, so that a stopped judge goes on where it was and runs share replies.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.errors import first_line
from winnow.reducers.core.errors import WinnowError

PATIENCE = 60.0
TRIES = 5
BUSY = {408, 409, 429, 500, 502, 503, 504}
Message = dict[str, str]


@dataclass(frozen=True)
class Server:
    """Where to ask.

    Attributes
    ----------
    url : str
        With or without ``/chat/completions`` at its end.
    model : str
    key : str
    per_minute : float
        At most so many requests; 0: no limit.
    workers : int
        Requests under way at the same time.
    """

    url: str
    model: str
    key: str = ""
    per_minute: float = 0.0
    workers: int = 4

    @property
    def endpoint(self) -> str:
        """The address that requests go to."""
        url = self.url.rstrip("/")
        return url if url.endswith("/chat/completions") else f"{url}/chat/completions"


@dataclass(frozen=True)
class Reply:
    """What a judge said, and the tokens of it; `fresh` if it was asked now."""

    text: str
    prompt_tokens: int = 0
    reply_tokens: int = 0
    fresh: bool = False


@dataclass
class Judge:
    """Asks a server, no faster than allowed, nothing twice.

    Attributes
    ----------
    server : Server
    cache : Path
        Folder of the replies.
    """

    server: Server
    cache: Path
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask_all(
        self, questions: Sequence[list[Message]], advance: Callable[[int], None] = lambda count: None
    ) -> list[Reply]:
        """Ask everything, in parallel; replies come in the order of the questions.

        Raises
        ------
        WinnowError
            If the server cannot be reached or refuses; what was answered until then is kept.
        """
        with ThreadPoolExecutor(self.server.workers) as pool:
            found = [pool.submit(self.ask, messages) for messages in questions]
            try:
                replies = []
                for future in found:
                    replies.append(future.result())
                    advance(1)
                return replies
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def ask(self, messages: list[Message]) -> Reply:
        """Ask one question, or remember the reply to it."""
        body = {"model": self.server.model, "messages": messages, "temperature": 0, "max_tokens": 64}
        name = hashlib.sha256(json.dumps([self.server.endpoint, body], sort_keys=True).encode()).hexdigest()
        path = self.cache / name[:2] / f"{name}.json"
        if path.is_file():
            return Reply(**files.read_json(path))
        reply = self._post(body)
        files.write_json(path, {k: v for k, v in vars(reply).items() if k != "fresh"})
        return reply

    def _wait(self) -> None:
        """Keep the distance between requests."""
        if not self.server.per_minute:
            return
        with self._lock:
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + 60 / self.server.per_minute
        time.sleep(due - now)

    def _post(self, body: dict[str, Any]) -> Reply:
        for turn in range(TRIES):
            self._wait()
            try:
                return _reply(self._send(body))
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or turn == TRIES - 1:
                    reason = error.read().decode(errors="replace")[:200].strip()
                    raise WinnowError(f"the judge {self.server.endpoint} refuses ({error.code} {reason})") from error
                pause = error.headers.get("Retry-After") or ""
                time.sleep(float(pause) if pause.replace(".", "", 1).isdigit() else 2.0**turn)
            except (OSError, ValueError, KeyError) as error:
                if turn == TRIES - 1:
                    raise WinnowError(
                        f"the judge {self.server.endpoint} cannot be asked ({first_line(error)}): start it, "
                        "mend --url, and run the same command again to go on"
                    ) from error
                time.sleep(2.0**turn)
        raise AssertionError("unreachable")

    def _send(self, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.server.key}"}
        request = urllib.request.Request(self.server.endpoint, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            found: dict[str, Any] = json.loads(response.read())
        return found


def _reply(found: dict[str, Any]) -> Reply:
    usage = found.get("usage") or {}
    text = found["choices"][0]["message"]["content"] or ""
    return Reply(text, int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), True)


def replies_folder() -> Path:
    """Where replies are kept: below ``$WINNOW_CACHE``, else ``~/.cache/winnow``."""
    return files.cache_folder() / "judge"
