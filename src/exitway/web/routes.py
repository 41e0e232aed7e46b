"""The dashboard's paths on the server: the page's files, what goes on, and rules to be read. All are GET, and change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from exitway.api.status import Refusal, bad_request
from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.resources.text import yaml_text
from exitway.web.live import Sources, events
from exitway.web.page import ROOT, File, files
from exitway.web.search import Search
from exitway.web.sections import Json
from exitway.web.seen import Question

LONGEST_SEARCH = 200
MOST_SECONDS = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class Advice:
    """The smallest rule that would let pass what was denied, as it is written; None: there is none, and why."""

    rule: Json | None
    why: str = ""


def dashboard_routes(sources: Sources, advice: Callable[[Flow], Advice]) -> list[Route]:
    """All of them."""
    page = files()

    async def file(request: Request) -> Response:
        found = page.get(request.path_params.get("name", ""))
        if found is None:
            raise Refusal(404, "NotFound", "there is no such file")
        return _file(found, request)

    async def live(request: Request) -> Response:
        told = events(sources, _question(request))
        return StreamingResponse(told, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def rule(request: Request) -> Response:
        query = request.query_params
        if "flow" in query:
            answer = await asyncio.to_thread(_rule_for, _number(query["flow"], "flow"), sources, advice)
        else:
            answer = _rule_in_force(query.get("key", ""), query.get("apiVersion", ""), sources)
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    return [
        Route(f"{ROOT}/events", live, methods=["GET"]),
        Route(f"{ROOT}/rule", rule, methods=["GET"]),
        Route(f"{ROOT}/", file, methods=["GET"]),
        Route(f"{ROOT}/{{name}}", file, methods=["GET"]),
    ]


def _file(found: File, request: Request) -> Response:
    headers = {"etag": found.etag, "cache-control": "no-cache"}  # it may be kept, and is asked for all the same
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers | {"content-type": found.type})


def _question(request: Request) -> Question:
    query = request.query_params
    search = query.get("search", "")
    if len(search) > LONGEST_SEARCH:
        raise bad_request(f"a search has at most {LONGEST_SEARCH} characters")
    return Question(min(_number(query.get("since", "0"), "since"), MOST_SECONDS), Search.of(search))


def _rule_for(identity: int, sources: Sources, advice: Callable[[Flow], Advice]) -> Json:
    history = History(sources.flows, read_only=True)
    try:
        flow = history.get(identity)
    finally:
        history.close()
    if flow is None:
        raise Refusal(404, "NotFound", "this flow is not in the history any more")
    given = advice(flow)
    text = yaml_text(given.rule) if given.rule else ""
    return {"yaml": text, "why": given.why, "namespace": flow.namespace}


def _rule_in_force(key: str, api_version: str, sources: Sources) -> Json:
    for resource in sources.registry():
        if str(resource.key) == key and resource.api_version == api_version:
            return {"yaml": yaml_text(resource.wire), "namespace": resource.key.namespace}
    raise Refusal(404, "NotFound", "this rule is not in force any more")


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise bad_request(f"{name} is not a number")
    return int(text)
