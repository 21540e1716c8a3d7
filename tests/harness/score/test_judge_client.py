"""Which replies of a judge's server are asked for again."""

import httpx

from winnow.harness.score.judge_client import BUSY


def test_what_a_busy_server_says_is_no_refusal() -> None:
    assert {
        httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS,
        httpx.codes.INTERNAL_SERVER_ERROR, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE,
        httpx.codes.GATEWAY_TIMEOUT,
    } == BUSY  # fmt: skip
