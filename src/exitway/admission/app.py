"""The application behind the webhooks: ``/validate`` for rules, ``/inject`` and ``/held`` for pods. Whatever goes wrong, the answer is no."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.admission.review import Answer, Request, request_of, review_of
from exitway.admission.rules import reviewed
from exitway.api.body import read_json
from exitway.api.status import Refusal
from exitway.resources.registry import Registry

Decide = Callable[[Request], Awaitable[Answer]]

_log = logging.getLogger("exitway")


def create_app(registry: Callable[[], Registry | None], inject: Decide, held: Decide) -> Starlette:
    """``registry``: all rules, or None while they are not known. ``inject``: what is made of a pod; ``held``: whether it may be as it is."""

    async def validate(request: Request) -> Answer:
        return reviewed(request, registry())

    return Starlette(
        routes=[
            Route("/validate", _endpoint(validate), methods=["POST"]),
            Route("/inject", _endpoint(inject), methods=["POST"]),
            Route("/held", _endpoint(held), methods=["POST"]),
        ],
        exception_handlers={Refusal: _refused, 500: _fault},
    )


def _endpoint(decide: Decide) -> Callable[[HttpRequest], Awaitable[Response]]:
    async def answer(http: HttpRequest) -> Response:
        request = request_of(await read_json(http))
        return JSONResponse(review_of(request, await decide(request)))

    return answer


def _refused(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.status(hints_apart=False), error.code)


def _fault(http: HttpRequest, error: Exception) -> Response:
    """Our bug: the log has it. To the API server an answer without a review is a refusal (``failurePolicy: Fail``)."""
    _log.error("a review of %s failed", http.url.path, exc_info=error)
    return JSONResponse(
        Refusal(500, "InternalError", "Exitway failed; the log of its control plane says why").status(
            hints_apart=False
        ),
        500,
    )
