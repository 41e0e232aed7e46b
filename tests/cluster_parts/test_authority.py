from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509

from exitway.cluster.authority import RENEWAL, SERVING_LIFE, TERM, renewed

NAMES = ("exitway", "exitway.exitway-system.svc")
START = datetime(2026, 11, 23, tzinfo=UTC)


def made() -> dict[str, bytes]:
    data = renewed({}, NAMES, START)
    assert data is not None
    return data


def leaf(data):
    return x509.load_pem_x509_certificate(data["tls.crt"])


def trusts(bundle: bytes, data: dict[str, bytes]) -> bool:
    """Whether who has this bundle, and no other, believes this certificate."""
    for authority in x509.load_pem_x509_certificates(bundle):
        if authority.subject == leaf(data).issuer:
            leaf(data).verify_directly_issued_by(authority)
            return True
    return False


def history(until: timedelta, every: timedelta) -> list[tuple[datetime, dict[str, bytes]]]:
    """What the Secret holds as time goes by, looked after every so often."""
    data: dict[str, bytes] = {}
    states, now = [], START
    while now < START + until:
        data = renewed(data, NAMES, now) or data
        states.append((now, data))
        now += every
    return states


def test_what_was_made_is_right_and_stays_until_it_is_due():
    data = made()
    names = leaf(data).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == list(NAMES)
    assert renewed(data, NAMES, START + SERVING_LIFE - RENEWAL - timedelta(minutes=1)) is None
    later = renewed(data, NAMES, START + SERVING_LIFE - RENEWAL)
    assert later is not None
    assert leaf(later).not_valid_after_utc > leaf(data).not_valid_after_utc
    assert (later["ca.crt"], later["ca.key"]) == (data["ca.crt"], data["ca.key"]), "only what is due is made anew"


def test_a_bundle_is_good_for_a_term_and_who_serves_is_always_valid():
    states = history(5 * TERM, timedelta(days=7))
    for at, (then, had) in enumerate(states):
        assert leaf(had).not_valid_before_utc <= then < leaf(had).not_valid_after_utc - RENEWAL + timedelta(days=8)
        believed = [now for now, data in states[at:] if trusts(had["ca.crt"], data)]
        assert believed[-1] - then >= min(TERM, states[-1][0] - then), then
    assert max(len(x509.load_pem_x509_certificates(data["ca.crt"])) for _, data in states) <= 4


def test_a_proxy_that_trusts_the_new_bundle_believes_a_replica_that_still_has_the_old_certificate():
    states = history(3 * TERM, timedelta(days=1))
    for (_, before), (_, after) in pairwise(states):
        assert trusts(after["ca.crt"], before)


@pytest.mark.parametrize("years", [1, 2, 3, 10])
def test_a_control_plane_that_was_away_for_long_comes_back(years):
    now = START + years * TERM + timedelta(days=40)
    data = renewed(made(), NAMES, now)
    assert data is not None
    assert leaf(data).not_valid_after_utc > now + RENEWAL
    assert trusts(data["ca.crt"], data)
    assert renewed(data, NAMES, now) is None


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
@pytest.mark.parametrize("content", [None, b"", b"rubbish", "other"])
def test_what_does_not_fit_is_made_anew(name, content):
    data, other = made(), made()
    broken = {key: value for key, value in data.items() if key != name}
    if content is not None:
        broken[name] = other[name] if content == "other" else content
    mended = renewed(broken, NAMES, START)
    assert mended is not None
    assert trusts(mended["ca.crt"], mended)
    assert renewed(mended, NAMES, START) is None


def test_another_name_needs_another_certificate():
    data = made()
    again = renewed(data, ("wall", *NAMES), START)
    assert again is not None
    assert trusts(data["ca.crt"], again)
