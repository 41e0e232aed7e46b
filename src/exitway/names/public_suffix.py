"""Suffixes below which anybody can have a name: https://publicsuffix.org/list/.

                      of a registry   public
    com, co.uk        yes             yes
    github.io         no              yes        its owner lets others have names below it, and asked to be listed
    example.com       no              no
    internal          no              no         of no registry that is listed
    sharepoint.com    no              yes        its owner has not asked: :data:`UNLISTED`

The list comes with the package ``publicsuffixlist``, and is read when it is first asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from publicsuffixlist import PublicSuffixList

_DEEP = 3
"""Labels that a suffix has at most below a name that it is told of: what is farther down is hardly meant."""

UNLISTED = (
    "storage.googleapis.com", "firebaseio.com", "firebasedatabase.app", "*.firebasedatabase.app",
    "firebasestorage.app", "cloudapp.azure.com", "*.cloudapp.azure.com", "queue.core.windows.net",
    "table.core.windows.net", "dfs.core.windows.net", "database.windows.net", "search.windows.net",
    "redis.cache.windows.net", "vault.azure.net", "azurecr.io", "azure-devices.net", "documents.azure.com",
    "openai.azure.com", "cognitiveservices.azure.com", "sharepoint.com", "onmicrosoft.com",
    "r2.cloudflarestorage.com", "cloudflareaccess.com", "b-cdn.net", "s3.wasabisys.com",
    "s3.us-west-001.backblazeb2.com", "s3.us-west-002.backblazeb2.com", "s3.us-west-004.backblazeb2.com",
    "s3.us-east-005.backblazeb2.com", "s3.eu-central-003.backblazeb2.com", "my.salesforce.com", "atlassian.net",
    "zendesk.com", "okta.com", "auth0.com", "au.auth0.com",
    "eu.auth0.com", "jp.auth0.com", "us.auth0.com", "service-now.com", "snowflakecomputing.com", "mongodb.net",
    "jfrog.io", "webhook.site", "pipedream.net", "requestcatcher.com", "beeceptor.com", "oastify.com", "oast.fun",
    "substack.com", "tumblr.com", "wordpress.com", "neocities.org", "loca.lt", "nip.io", "sslip.io",
)  # fmt: skip
"""In the list's syntax: suffixes whose owners do not have them listed, and give names below them to whoever asks (a bucket, an account, a site, a
tunnel), as their own documentation says. Some large ones, and some that are in use to carry data out; there are more.
"""


def is_of_a_registry(name: str) -> bool:
    """Whether anybody can register a domain directly below the name (lower case): the list's ICANN section."""
    return bool(name) and _list(only_icann=True).publicsuffix(name) == name


def is_public(name: str) -> bool:
    """Whether names directly below this one (lower case) belong to whoever asks for them: the whole list, and what is known beside it."""
    return bool(name) and _list(only_icann=False).publicsuffix(name) == name


def shared_by(name: str) -> str:
    """The public suffix that the name ends in, or is; empty: none that is known."""
    return _list(only_icann=False).publicsuffix(name) or ""


def public_below(name: str) -> str:
    """One of the public suffixes of no registry that are below the name (lower case), which is none itself: for ``amazonaws.com`` one of S3."""
    return _above().get(name, "")


@cache
def _above() -> Mapping[str, str]:
    """Of each name above public suffixes, the shortest of these."""
    known: dict[str, str] = {}
    private = _listed().partition("===BEGIN PRIVATE DOMAINS===")[2].splitlines()
    for line in (*private, *UNLISTED):
        suffix = line.strip().removeprefix("*.")
        if not suffix or suffix.startswith(("//", "!")) or not suffix.isascii():
            continue
        labels = suffix.split(".")
        for number in range(1, min(len(labels), _DEEP + 1)):
            above = ".".join(labels[number:])
            known[above] = min(known.get(above, suffix), suffix, key=lambda one: (len(one), one))
    return {above: suffix for above, suffix in known.items() if not is_public(above)}


@cache
def _list(*, only_icann: bool) -> PublicSuffixList:
    lines = [*_listed().splitlines(), *UNLISTED]
    return PublicSuffixList(lines, accept_unknown=False, only_icann=only_icann)


def _listed() -> str:
    return (files("publicsuffixlist") / "public_suffix_list.dat").read_text("utf-8")
