"""What every object has, after the Kubernetes API conventions: names, labels and annotations, and the fields that a server sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

from exitway.names.host import is_label, is_name
from exitway.resources.form import Form, mapping, read_form
from exitway.resources.problem import MAX_PROBLEMS, Problem, Problems, quoted

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")


class Metadata(Form):
    """What may stand there. From ``uid`` on it is for servers, and read only so that what one gave out can be given back."""

    name: str
    namespace: str
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    uid: str | None = None
    resourceVersion: str | None = None  # noqa: N815 - wire name
    generation: int | None = None
    creationTimestamp: str | None = None  # noqa: N815 - wire name
    managedFields: Any = None  # noqa: N815 - wire name
    selfLink: str | None = None  # noqa: N815 - wire name
    generateName: Any = None  # noqa: N815 - wire name
    ownerReferences: Any = None  # noqa: N815 - wire name
    finalizers: Any = None
    deletionTimestamp: Any = None  # noqa: N815 - wire name
    deletionGracePeriodSeconds: Any = None  # noqa: N815 - wire name


class Object(Form):
    """Around every ``spec``. The status is the server's, and ignored."""

    apiVersion: str  # noqa: N815 - wire name
    kind: str
    metadata: Metadata
    status: Any = None


AnyObject = TypeVar("AnyObject", bound=Object)


def read_object(form: type[AnyObject], wire: Mapping[str, Any], faults: Iterable[Problem]) -> AnyObject:
    """The form of an object. Raises :class:`Problems`: those of the form, of the metadata, and ``faults``, those of its kind."""
    found, problems = read_form(form, wire)
    problems += islice(metadata_faults(mapping(wire.get("metadata"))), MAX_PROBLEMS)
    problems += islice(faults, MAX_PROBLEMS)
    if found is None or problems:
        raise Problems(problems[:MAX_PROBLEMS])
    return found


def metadata_faults(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the values of the right type."""
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if isinstance(name, str) and not _is_subdomain(name):
        hint = 'lower-case letters, digits, "-" and ".", as in a DNS name'
        yield Problem("EXW0106", f"{quoted(name)} is not a name", hint, "metadata.name")
    yield from namespace_faults(namespace, "metadata.namespace")
    yield from label_faults(metadata.get("labels"), "metadata.labels")
    for key in mapping(metadata.get("annotations")):
        if not _is_qualified(key):
            yield _bad_key(key, "metadata.annotations")


def namespace_faults(namespace: Any, field: str) -> Iterator[Problem]:
    """What is wrong with the name of a namespace."""
    if isinstance(namespace, str) and not (is_label(namespace) and namespace == namespace.lower()):
        hint = 'lower-case letters, digits and inner "-", at most 63'
        yield Problem("EXW0106", f"{quoted(namespace)} is not the name of a namespace", hint, field)


def label_faults(labels: Any, field: str) -> Iterator[Problem]:
    """What is wrong with keys and values of labels."""
    for key, value in mapping(labels).items():
        if not _is_qualified(key):
            yield _bad_key(key, field)
        if isinstance(value, str) and not _LABEL_VALUE.match(value):
            hint = 'at most 63 letters, digits, "-", "_" and "."; the first and last a letter or digit'
            yield Problem("EXW0107", f"{quoted(value)} is not the value of a label", hint, f"{field}[{key}]")


def _bad_key(key: str, field: str) -> Problem:
    return Problem(
        "EXW0107", f"{quoted(key)} is not the key of a label", "such as app or example.com/app", f"{field}[{key}]"
    )


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(name) and _LABEL_VALUE.match(name) is not None and (not slash or _is_subdomain(prefix))


def _is_subdomain(name: str) -> bool:
    return is_name(name) and name == name.lower()
