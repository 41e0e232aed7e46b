"""The application behind the webhooks: ``/validate`` for rules, ``/inject`` and ``/held`` for pods. Whatever goes wrong, the answer is no."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from exitway.admission.bodies import MOST_VALUES, Bodies
from exitway.admission.review import Answer, Request, request_of, review_of
from exitway.admission.rules import reviewed
from exitway.admission.turns import Turns
from exitway.api.body import parse_json
from exitway.api.status import Refusal
from exitway.resources.registry import Registry

Decide = Callable[[Request], Awaitable[Callable[[], Answer]]]
"""What there is to decide, and with what: that is done later, in a thread."""

SMALL_BYTES = 64 * 2**10
"""Most reviews have less. They have a thread of their own, and wait for no other."""

_log = logging.getLogger("exitway")


def create_app(registry: Callable[[], Registry | None], inject: Decide, held: Decide) -> Starlette:
    """``registry``: all rules, or None while they are not known. ``inject``: what is made of a pod; ``held``: whether it may be as it is."""

    async def validate(request: Request) -> Callable[[], Answer]:
        return partial(reviewed, request, registry())

    bodies, small, large = Bodies(), Turns(), Turns()

    def endpoint(decide: Decide) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def answer(http: HttpRequest) -> Response:
            async with bodies.held(http) as content:
                turn = partial((small if len(content) <= SMALL_BYTES else large).of, len(content))
                request = await turn(lambda: request_of(parse_json(content, MOST_VALUES)))
                decided = await decide(request)
                return await turn(lambda: JSONResponse(review_of(request, decided())))

        return answer

    return Starlette(
        routes=[
            Route("/validate", endpoint(validate), methods=["POST"]),
            Route("/inject", endpoint(inject), methods=["POST"]),
            Route("/held", endpoint(held), methods=["POST"]),
        ],
        exception_handlers={Refusal: _refused, 500: _fault},
    )


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
