"""The CA of a fleet, the certificate of its servers, and the bridge from an old CA to a new one. Pure.

ECDSA P-256: small, fast to verify, and understood by every TLS library. A CA may sign no further CA but its own
successor: the successor has the same name, so that the bridge is *self-issued* (RFC 5280, 4.2.1.9), which a path length
of 0 allows. Who knows the old CA alone accepts a leaf of the new one that comes with the bridge.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CA_LIFE = timedelta(days=20 * 365)
LEAF_LIFE = timedelta(days=90)
LEAF_RENEW = timedelta(days=30)
"""A leaf with less than this left is made anew, at start and while the server runs."""
BACKDATED = timedelta(hours=1)
"""Hosts whose clocks are a little behind must not refuse a new certificate."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_ca(name: str, now: datetime) -> Pair:
    """Return a new CA called ``name``, valid for 20 years."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = _key_usage(cert_sign=True)
    certificate = (
        _builder(subject, subject, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def make_successor(old: Pair, now: datetime) -> Pair:
    """Return a new CA, of the name of ``old``: without the same name :func:`bridge` would be a CA below a CA."""
    name = x509.load_pem_x509_certificate(old.certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0]
    return make_ca(str(name.value), now)


def bridge(old: Pair, new: bytes) -> bytes:
    """Return the certificate, PEM, by which who trusts ``old`` trusts ``new`` (a CA's certificate, PEM) as well.

    It ends with the sooner of the two; empty where ``old`` has ended before ``new`` began: nobody trusts it any more.
    """
    issuer, subject = x509.load_pem_x509_certificate(old.certificate), x509.load_pem_x509_certificate(new)
    key = _ec_key(old)
    public = subject.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        message = "the new CA's key is of another kind"
        raise TypeError(message)
    ends = min(issuer.not_valid_after_utc, subject.not_valid_after_utc)
    if ends <= subject.not_valid_before_utc:
        return b""
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject.subject)
        .issuer_name(issuer.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(subject.not_valid_before_utc)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(cert_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def issue_leaf(ca: Pair, hosts: Sequence[str], now: datetime) -> Pair:
    """Return a new server certificate for ``hosts`` (names or IP addresses) and the local names, valid for 90 days."""
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    issuer_key = _ec_key(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    names = sorted({*hosts, *LOCAL_NAMES})
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleetroll-server")])
    certificate = (
        _builder(subject, issuer.subject, key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(cert_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def needs_renewal(certificate: bytes, hosts: Sequence[str], now: datetime) -> bool:
    """Tell whether a server certificate ends within 30 days or lacks one of ``hosts``."""
    read = x509.load_pem_x509_certificate(certificate)
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = {_general_name(name) for name in (*hosts, *LOCAL_NAMES)} - set(names)
    return read.not_valid_after_utc - now < LEAF_RENEW or bool(missing)


def is_issued_by(certificate: bytes, ca: bytes) -> bool:
    """Tell whether the CA of the certificate ``ca`` has signed ``certificate``, both PEM; names alone prove nothing."""
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def leads_to(chain: Sequence[bytes], trusted: Iterable[bytes]) -> bool:
    """Tell whether a host that trusts ``trusted`` accepts a server that shows ``chain`` (PEM, the leaf first)."""
    roots = tuple(trusted)
    for shown, following in zip(chain, (*chain[1:], None), strict=True):
        if any(is_issued_by(shown, root) for root in roots):
            return True
        if following is None or not is_issued_by(shown, following):
            return False
    return False


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate, small hex digits: by this people tell two of them apart."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def ends_at(certificate: bytes) -> datetime:
    """Return when a certificate ends."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def belong_together(pair: Pair) -> bool:
    """Tell whether key and certificate are of one making: a crash between the two writes leaves them apart."""
    key = serialization.load_pem_private_key(pair.key, None)
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except ValueError:  # damaged: it is made anew
        return False
    return key.public_key() == certificate.public_key()


def host_of(address: str) -> str:
    """Return the host of ``host:port`` or ``[host]:port``."""
    return address.rpartition(":")[0].strip("[]")


def _ec_key(ca: Pair) -> ec.EllipticCurvePrivateKey:
    """Return the private key of a CA."""
    key = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        message = "the CA's key is of another kind"
        raise TypeError(message)
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    """Return what both kinds have in common."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, cert_sign: bool) -> x509.KeyUsage:
    """Return the usage of a CA or of a leaf."""
    return x509.KeyUsage(
        digital_signature=not cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    """Return a host as it stands in a certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key, unencrypted: it is sealed where it is written."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
