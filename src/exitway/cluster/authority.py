"""The certificates of the control plane: who makes them, for how long they are used, and when new ones are due. No I/O.

A proxy is told whom to trust when its pod is made, and never again. So the authority that will sign next is named a term before it does: what is
made today can verify the control plane for at least one term more, however often it is started anew.

    ca.crt   the authorities to trust: those that have signed, sign, and will sign next, as long as they are valid
    ca.key   the key of the one that signs now, then that of the next one
    tls.crt  the certificate of the control plane
    tls.key  its key
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TERM = timedelta(days=365)
"""How long an authority signs."""
AUTHORITY_LIFE = 3 * TERM
"""A term before it signs, one in which it does, and one for what it signed last."""
SERVING_LIFE = timedelta(days=90)
RENEWAL = timedelta(days=60)
"""A serving certificate that is valid for no longer than this is renewed."""
_SKEW = timedelta(hours=1)
"""So much may the clocks of a cluster differ."""

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, eq=False)
class Signer:
    """An authority with its key."""

    certificate: x509.Certificate
    key: Key


def renewed(data: Mapping[str, bytes], dns_names: Sequence[str], now: datetime) -> dict[str, bytes] | None:
    """What the Secret should hold instead; None if what it holds will do. What cannot be read, or is over, is made anew. ``now`` has a zone."""
    trusted, signers = _read(data)
    after = [one for one in signers if one.certificate.not_valid_after_utc > now + SERVING_LIFE]
    while len(after) > 1 and now >= after[1].certificate.not_valid_before_utc + TERM:
        after = after[1:]
    while len(after) < 2:
        after.append(_authority(now))
        trusted.append(after[-1].certificate)
    if after == signers and not _is_due(data, dns_names, after[0].certificate, now):
        return None
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "ca.crt": b"".join(_pem(one) for one in trusted if one.not_valid_after_utc > now),
        "ca.key": b"".join(_key_pem(one.key) for one in after),
        "tls.crt": _pem(_serving(key, after[0], dns_names, now)),
        "tls.key": _key_pem(key),
    }


def _read(data: Mapping[str, bytes]) -> tuple[list[x509.Certificate], list[Signer]]:
    """The authorities that are trusted, and those of them that we can sign with, in the order of their keys. Nothing if one cannot be read."""
    try:
        trusted = x509.load_pem_x509_certificates(data["ca.crt"])
        keys = [_load_key(text) for text in _split(data["ca.key"])]
        by_key = {_identity(one.public_key()): one for one in trusted}
        return trusted, [Signer(by_key[_identity(key.public_key())], key) for key in keys]
    except (KeyError, ValueError, TypeError):
        return [], []


def _is_due(data: Mapping[str, bytes], dns_names: Sequence[str], signer: x509.Certificate, now: datetime) -> bool:
    """Whether a new serving certificate is to be made."""
    try:
        certificate = x509.load_pem_x509_certificate(data["tls.crt"])
        certificate.verify_directly_issued_by(signer)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = set(names.get_values_for_type(x509.DNSName)) >= set(dns_names)
        fits = certificate.public_key() == _load_key(data["tls.key"]).public_key()
    except (KeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return True
    return not (known and fits) or certificate.not_valid_after_utc - now <= RENEWAL


def _authority(now: datetime) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"Exitway {now:%Y-%m-%d} {x509.random_serial_number():x}"[:64]  # two of one name would be mixed up
    builder = _builder(name, name, key, now, now + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    return Signer(builder.sign(key, hashes.SHA256()), key)


def _serving(key: Key, signer: Signer, dns_names: Sequence[str], now: datetime) -> x509.Certificate:
    issuer = signer.certificate
    end = min(now + SERVING_LIFE, issuer.not_valid_after_utc)
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
    builder = _builder("exitway", "", key, now, end).issuer_name(issuer.subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(names, critical=False)
    vouching = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return builder.add_extension(vouching, critical=False).sign(signer.key, hashes.SHA256())


def _builder(subject: str, issuer: str, key: Key, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder(
        subject_name=named(subject),
        issuer_name=named(issuer) if issuer else None,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin - _SKEW,
        not_valid_after=end,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False)


def _usage(**used: bool) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: used.get(name, False) for name in every})


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(text: bytes) -> Key:
    key = serialization.load_pem_private_key(text, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not a key on a curve")
    return key


def _identity(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _split(keys: bytes) -> list[bytes]:
    end = b"-----END PRIVATE KEY-----\n"
    return [part + end for part in keys.split(end) if part.strip()]
