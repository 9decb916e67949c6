"""The CA of a fleet, and the certificate of its servers.

ECDSA P-256: small, fast to verify, and understood by every TLS library. The CA may sign no
further CA. Its key is needed once in two months; it lies sealed.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleetroll_common.durable import write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.secrets import Secrets

CA_LIFE = timedelta(days=20 * 365)
LEAF_LIFE = timedelta(days=90)
LEAF_RENEW = timedelta(days=30)
"""A leaf with less than this left is made anew at start."""
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


def issue_leaf(ca: Pair, hosts: Sequence[str], now: datetime) -> Pair:
    """Return a new server certificate for ``hosts`` (names or IP addresses) and the local names, valid for 90 days."""
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    issuer_key = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        message = "the CA's key is of another kind"
        raise TypeError(message)
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


def store_ca(folder: DataFolder, secrets: Secrets, ca: Pair) -> None:
    """Write a CA into the data folder, its key sealed."""
    write_durably(folder.tls / "ca.pem", ca.certificate, 0o644)
    write_durably(folder.tls / "ca.key.sealed", secrets.seal(ca.key).encode())


def current_leaf(folder: DataFolder, secrets: Secrets, hosts: Sequence[str], now: datetime) -> Pair:
    """Return the server's certificate, made anew where there is none or it needs renewal.

    Raises:
        StoreError: a file of the CA is missing or damaged, or its key can't be opened (operator's fault).
        OSError: the folder can't be read or written.
    """
    certificate_path, key_path = folder.tls / "server.pem", folder.tls / "server.key.sealed"
    if certificate_path.exists() and key_path.exists():
        leaf = Pair(certificate_path.read_bytes(), secrets.open(key_path.read_text("ascii", "replace")))
        if _belong_together(leaf) and not needs_renewal(leaf.certificate, hosts, now):
            return leaf
    sealed = _read(folder.tls / "ca.key.sealed").decode("ascii", "replace")
    ca = Pair(ca_certificate(folder), secrets.open(sealed))
    leaf = issue_leaf(ca, hosts, now)
    write_durably(key_path, secrets.seal(leaf.key).encode())
    write_durably(certificate_path, leaf.certificate, 0o644)
    return leaf


def ca_certificate(folder: DataFolder) -> bytes:
    """Return the CA's certificate as hosts and clients get it, PEM.

    Raises:
        StoreError: it is missing or damaged (operator's fault).
    """
    path = folder.tls / "ca.pem"
    data = _read(path)
    try:
        x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise _unusable(path, "it holds no certificate") from error
    return data


def _read(path: Path) -> bytes:
    """Return a file of the CA."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _unusable(path: Path, why: str) -> StoreError:
    """Return the operator's error. A new CA would shut every host out, so none is made."""
    return StoreError(
        f"tls: {path} can't be used: {why}",
        code=Code.STORE_FAILED,
        remedy="bring it back from a backup of the data folder",
    )


def host_of(address: str) -> str:
    """Return the host of ``host:port`` or ``[host]:port``."""
    return address.rpartition(":")[0].strip("[]")


def _belong_together(pair: Pair) -> bool:
    """Tell whether key and certificate are of one making: a crash between the two writes leaves them apart."""
    key = serialization.load_pem_private_key(pair.key, None)
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except ValueError:  # damaged: it is made anew
        return False
    return key.public_key() == certificate.public_key()


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
