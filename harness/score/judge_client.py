"""Asks a language model whether answers mean what they should: the second stage of open questions.

Any server that speaks OpenAI's chat protocol will do, a local one as well. What was asked before is not asked again:
replies are kept by the content of the question, so that a stopped judge goes on where it was and runs share replies.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from winnow.harness.common import files
from winnow.harness.common.errors import first_line
from winnow.reducers.core.errors import WinnowError

PATIENCE = 60.0
TRIES = 5
OK = 200
LARGEST = 1 << 20
"""Bytes of a reply; a verdict has a hundred."""
SHOWN = 200
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
        with suppress(OSError, WinnowError, TypeError):  # a damaged reply is asked for again
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
        retrying = Retrying(
            retry=retry_if_exception_type(_AgainError), stop=stop_after_attempt(TRIES), wait=_pause, reraise=True
        )
        try:
            return retrying(self._ask_once, body)
        except _AgainError as error:
            raise WinnowError(
                f"the judge {self.server.endpoint} cannot be asked ({self._clean(str(error))}): start it, "
                "mend --url, and run the same command again to go on"
            ) from error

    def _ask_once(self, body: dict[str, Any]) -> Reply:
        """Ask; a redirect is a refusal, as the key is for this address alone."""
        self._wait()
        headers = {"Authorization": f"Bearer {self.server.key}"} if self.server.key else {}
        try:
            with httpx.stream("POST", self.server.endpoint, json=body, headers=headers, timeout=PATIENCE) as response:
                text = _bounded(response)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _AgainError(first_line(error)) from error
        if response.status_code in BUSY:
            raise _AgainError(f"{response.status_code} {text[:SHOWN]}", response.headers.get("Retry-After", ""))
        if response.status_code != OK:
            said = self._clean(f"{response.status_code} {text[:SHOWN]}")
            raise WinnowError(f"the judge {self.server.endpoint} refuses ({said})")
        return _reply(text)

    def _clean(self, text: str) -> str:
        """What a server said, without the key, and without what a terminal would act on."""
        bare = text.replace(self.server.key, "…") if self.server.key else text
        return "".join(letter if letter.isprintable() else " " for letter in bare).strip()


class _AgainError(Exception):
    """The question may be answered if it is asked again, after so many seconds if the server says so."""

    def __init__(self, message: str, after: str = "") -> None:
        super().__init__(message)
        self.after = after


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, _AgainError) else ""
    return min(PATIENCE, float(after)) if after.replace(".", "", 1).isdigit() else 2.0 ** (state.attempt_number - 1)


def _bounded(response: httpx.Response) -> str:
    """The text of a response, as far as any verdict would go."""
    held = b""
    for piece in response.iter_bytes():
        held += piece
        if len(held) > LARGEST:
            raise _AgainError(f"its reply has more than {LARGEST} bytes")
    return held.decode(errors="replace")


def _reply(text: str) -> Reply:
    """Read a reply; what is none is asked for again, and never kept."""
    try:
        found = files.parse(text)
        usage, said = found.get("usage") or {}, found["choices"][0]["message"]["content"] or ""
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        if not isinstance(said, str) or min(counts) < 0:
            raise ValueError("its reply is no text")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise _AgainError(f"its reply is none of OpenAI's protocol: {first_line(error)}") from error
    return Reply(said, counts[0], counts[1], fresh=True)


def replies_folder() -> Path:
    """Where replies are kept: below ``$WINNOW_CACHE``, else ``~/.cache/winnow``."""
    return files.cache_folder() / "judge"
