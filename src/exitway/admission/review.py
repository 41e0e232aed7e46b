"""Reviews of ``admission.k8s.io/v1``: what the API server asks, and what it is answered.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exitway.api.status import Cause, Refusal, bad_request, invalid
from exitway.resources.form import mapping
from exitway.resources.problem import Problem
from exitway.resources.resource import Json


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to do. ``old``: the object as it was; empty where there was none. ``user``: who it is, as the API server knows."""

    uid: str
    operation: str
    resource: str
    """The plural, with its subresource: ``pods``, ``pods/ephemeralcontainers``."""
    namespace: str
    name: str
    object: Mapping[str, Any]
    old: Mapping[str, Any]
    user: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes, with changes (JSON Patch) and warnings, which kubectl prints; or no."""

    patch: Sequence[Json] = ()
    warnings: tuple[str, ...] = ()
    refusal: Refusal | None = None


ALLOWED = Answer()


def judged(problems: Sequence[Problem], request: Request, kind: str) -> Answer:
    """Yes if there are no problems; else no, with all of them."""
    if not problems:
        return ALLOWED
    refusal = invalid([Cause(problem) for problem in problems])
    refusal.details.update(name=request.name, kind=kind)
    return Answer(refusal=refusal)


def not_yet(code: str, message: str) -> Answer:
    """No: something is not known yet without which there is no other answer."""
    problem = Problem(code, message, "try again in a moment")
    return Answer(refusal=Refusal(503, "ServiceUnavailable", f"{problem} ({problem.hint})", [Cause(problem)]))


def request_of(review: Any) -> Request:
    """What a review asks. Raises Refusal if it is none."""
    request = mapping(mapping(review).get("request"))
    resource, uid = mapping(request.get("resource")), request.get("uid")
    if mapping(review).get("kind") != "AdmissionReview" or not isinstance(uid, str) or not resource:
        raise bad_request("this is not an AdmissionReview with a request")
    plural, subresource = str(resource.get("resource") or ""), str(request.get("subResource") or "")
    return Request(
        uid=uid,
        operation=str(request.get("operation")),
        resource=f"{plural}/{subresource}" if subresource else plural,
        namespace=str(request.get("namespace") or ""),
        name=str(request.get("name") or ""),
        object=mapping(request.get("object")),
        old=mapping(request.get("oldObject")),
        user=str(mapping(request.get("userInfo")).get("username") or ""),
    )


def review_of(request: Request, answer: Answer) -> Json:
    """The review that answers."""
    response: Json = {"uid": request.uid, "allowed": answer.refusal is None}
    if answer.refusal:
        response["status"] = answer.refusal.status(hints_apart=False)
    elif answer.patch:
        patch = base64.b64encode(json.dumps(list(answer.patch)).encode()).decode()
        response |= {"patchType": "JSONPatch", "patch": patch}
    if answer.warnings:
        response["warnings"] = list(answer.warnings)
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
