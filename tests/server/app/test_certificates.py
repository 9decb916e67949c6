"""Certificates: a CA that signs servers alone, a leaf that is renewed in time and always fits its key."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from fleetroll_common.values.ids import SystemIds
from fleetroll_server.authority import current_leaf, store_ca
from fleetroll_server.certificates import host_of, issue_leaf, make_ca, needs_renewal
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def verify(ca: Any, leaf: Any, name: x509.verification.Subject, at: datetime) -> None:
    store = Store([x509.load_pem_x509_certificate(ca.certificate)])
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(name)
    verifier.verify(x509.load_pem_x509_certificate(leaf.certificate), [])


def test_a_strict_verifier_accepts_the_leaf_for_its_names_and_for_no_other() -> None:
    ca = make_ca("Fleetroll CA", NOW)
    leaf = issue_leaf(ca, ["fleet.example", "192.0.2.7"], NOW)
    for name in (
        x509.DNSName("fleet.example"),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    ):
        verify(ca, leaf, name, NOW + timedelta(days=89))
    with pytest.raises(VerificationError):
        verify(ca, leaf, x509.DNSName("other.example"), NOW)
    with pytest.raises(VerificationError):
        verify(ca, leaf, x509.DNSName("fleet.example"), NOW + timedelta(days=91))
    with pytest.raises(VerificationError):
        verify(make_ca("Fleetroll CA", NOW), leaf, x509.DNSName("fleet.example"), NOW)


def test_lives_and_kinds_are_as_stated() -> None:
    ca = x509.load_pem_x509_certificate(make_ca("Fleetroll CA", NOW).certificate)
    assert ca.not_valid_after_utc - NOW == timedelta(days=20 * 365)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    key = ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert ca.not_valid_before_utc < NOW


def test_a_leaf_is_renewed_when_a_month_is_left_or_a_name_is_missing() -> None:
    leaf = issue_leaf(make_ca("CA", NOW), ["a.example"], NOW).certificate
    assert not needs_renewal(leaf, ["a.example"], NOW + timedelta(days=59))
    assert needs_renewal(leaf, ["a.example"], NOW + timedelta(days=61))
    assert needs_renewal(leaf, ["a.example", "b.example"], NOW)


def test_the_stored_leaf_is_kept_until_it_has_to_be_renewed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    secrets = Secrets.create(folder.secret_key, SystemIds())
    ca = make_ca("CA", NOW)
    store_ca(folder, secrets, ca)
    first = current_leaf(folder, secrets, ["a.example"], NOW)
    assert current_leaf(folder, secrets, ["a.example"], NOW) == first
    renewed = current_leaf(folder, secrets, ["a.example"], NOW + timedelta(days=70))
    assert renewed != first
    verify(ca, renewed, x509.DNSName("a.example"), NOW + timedelta(days=150))
    other = current_leaf(folder, secrets, ["b.example"], NOW + timedelta(days=70))
    assert other != renewed


def test_a_crash_between_key_and_certificate_is_mended(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.make()
    secrets = Secrets.create(folder.secret_key, SystemIds())
    ca = make_ca("CA", NOW)
    store_ca(folder, secrets, ca)
    current_leaf(folder, secrets, ["a.example"], NOW)
    other = issue_leaf(ca, ["a.example"], NOW)
    (folder.tls / "server.key.sealed").write_text(secrets.seal(other.key))
    mended = current_leaf(folder, secrets, ["a.example"], NOW)
    assert current_leaf(folder, secrets, ["a.example"], NOW) == mended
    assert mended.key != other.key


@pytest.mark.parametrize(
    ("address", "host"), [("a.example:1", "a.example"), ("[::1]:8443", "::1"), ("1.2.3.4:5", "1.2.3.4")]
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
