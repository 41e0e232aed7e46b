"""The application: every route, and how a refusal or a fault becomes an answer."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from exitway.api.changes import changes_route
from exitway.api.collection import Collection
from exitway.api.discovery import discovery_routes
from exitway.api.openapi import openapi_routes
from exitway.api.status import Refusal, failure
from exitway.api.write import Programmed, Writer
from exitway.resources.kind_names import KIND_NAMES
from exitway.store.store import Store


def create_app(store: Store, programmed: Programmed, *, extra_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The API of the store. ``programmed`` waits until every running proxy has acknowledged a revision, and names those that have not.

    ``extra_routes`` may raise :class:`~exitway.api.status.Refusal` too. Serve it with :func:`~exitway.api.listen.serve`.
    """
    writer = Writer(store, programmed)
    collections = [route for kind in KIND_NAMES for route in Collection(kind, writer).routes()]
    app = Starlette(
        routes=[*extra_routes, changes_route(writer), *collections, *discovery_routes(store), *openapi_routes()],
        exception_handlers={Refusal: _refused, HTTPException: _unroutable, ClientDisconnect: _gone, 500: _fault},
    )
    app.router.redirect_slashes = False
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    ours = request.url.path.startswith("/exitway/")
    return JSONResponse(error.status(hints_apart=ours), error.code)


def _unroutable(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return failure(404, "NotFound", "the server could not find the requested resource")
    phrase = HTTPStatus(error.status_code).phrase
    answer = failure(error.status_code, phrase.title().replace(" ", ""), phrase)
    answer.headers.update(error.headers or {})
    return answer


def _gone(_: Request, __: Exception) -> Response:
    """The client left in the middle of its request; nobody reads this answer."""
    return failure(400, "BadRequest", "the request broke off")


def _fault(_: Request, __: Exception) -> Response:
    """Our bug: the log has it, the client learns only that there was one."""
    return failure(500, "InternalError", "the server failed; its log says why")
