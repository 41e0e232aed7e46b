"""``/exitway/v1/flows`` and ``/exitway/v1/destinations``: what was seen, out of the history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.api.status import Refusal, bad_request
from exitway.flows.flow import stamp
from exitway.flows.history import History
from exitway.names.call import Verdict
from exitway.resources.problem import Problems
from exitway.settings import Settings

T = TypeVar("T")

USUAL_LIMIT, MOST = 1000, 10_000
USUAL_PAST = timedelta(days=1)
"""How far back destinations are looked for."""
_CHOICES = ("namespace", "workload", "verdict", "host", "since")


def flow_routes(settings: Settings) -> list[Route]:
    """Both read the file beside the writer, each time in a thread: what is long nobody else waits for."""

    async def flows(request: Request) -> Response:
        chosen = _chosen(request.query_params)
        after = _number(request.query_params, "after", 0, 2**62)
        limit = _number(request.query_params, "limit", USUAL_LIMIT, MOST)
        found = await _ask(settings, lambda history: history.select(**chosen, after=after, limit=limit))
        return JSONResponse({"items": [flow.wire() for flow in found]})

    async def destinations(request: Request) -> Response:
        since = request.query_params.get("since") or stamp(datetime.now(UTC) - USUAL_PAST)
        found = await _ask(settings, lambda history: history.destinations(since))
        return JSONResponse({"items": [one.wire() for one in found]})

    return [Route("/exitway/v1/flows", flows), Route("/exitway/v1/destinations", destinations)]


async def _ask(settings: Settings, question: Callable[[History], T]) -> T:
    def answer() -> T:
        with closing(History(settings.flow_db, read_only=True)) as history:
            return question(history)

    try:
        return await asyncio.to_thread(answer)
    except (OSError, Problems) as error:
        raise Refusal(503, "ServiceUnavailable", f"the flows cannot be read: {error}") from error


def _chosen(query: QueryParams) -> dict[str, str]:
    chosen = {name: query[name] for name in _CHOICES if query.get(name)}
    if chosen.get("verdict", Verdict.DENY) not in list(Verdict):
        raise bad_request(f"verdict is {' or '.join(Verdict)}")
    return chosen


def _number(query: QueryParams, name: str, usual: int, most: int) -> int:
    text = query.get(name) or str(usual)
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most):
        raise bad_request(f"{name} is not a number up to {most}")
    return int(text)
