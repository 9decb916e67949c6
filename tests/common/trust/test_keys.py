"""Public keys: what counts as a signature, and what as a key."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.trust.keys import NaClKey, key_id
from fleetroll_common.trust.library import Key, Signature, UnverifiedSignatureError
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.signers import NaClSigner

PRIVATE = PrivateKey(bytes(range(32)))
PUBLIC = PRIVATE.public
SIGNATURE = NaClSigner(PRIVATE).sign(b"data")


def test_a_signature_by_the_key_verifies() -> None:
    PUBLIC.verify_signature(SIGNATURE, b"data")


@given(st.binary(max_size=100))
def test_whatever_is_signed_verifies_and_nothing_else(data: bytes) -> None:
    signature = NaClSigner(PRIVATE).sign(data)
    PUBLIC.verify_signature(signature, data)
    with pytest.raises(UnverifiedSignatureError):
        PUBLIC.verify_signature(signature, data + b"x")


@pytest.mark.parametrize(
    "signature",
    [
        Signature(SIGNATURE.keyid, SIGNATURE.signature.upper()),
        Signature(SIGNATURE.keyid, SIGNATURE.signature + " "),
        Signature(SIGNATURE.keyid, SIGNATURE.signature[:-2]),
        Signature(SIGNATURE.keyid, SIGNATURE.signature[:-2] + "zz"),
        Signature(SIGNATURE.keyid, "00" * 64),
        Signature(SIGNATURE.keyid, ""),
        Signature("0" * 64, SIGNATURE.signature),
    ],
)
def test_another_spelling_or_another_signature_does_not_count(signature: Signature) -> None:
    with pytest.raises(UnverifiedSignatureError):
        PUBLIC.verify_signature(signature, b"data")


def test_a_signature_that_is_no_text_does_not_count() -> None:
    broken: Any = Signature(SIGNATURE.keyid, 7)  # type: ignore[arg-type]
    with pytest.raises(UnverifiedSignatureError):
        PUBLIC.verify_signature(broken, b"data")


def test_a_key_in_metadata_becomes_this_class_and_goes_back_unchanged() -> None:
    form = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "ab" * 32}, "x-note": "kept"}
    key = Key.from_dict("some id", dict(form))
    assert isinstance(key, NaClKey)
    assert key.to_dict() == form
    assert key == Key.from_dict("some id", dict(form))


@pytest.mark.parametrize(
    "keyval", [{}, {"public": "AB" * 32}, {"public": "ab"}, {"public": 3}, {"public": "ab" * 32, "x": 1}]
)
def test_what_is_no_key_is_refused(keyval: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Key.from_dict("id", {"keytype": "ed25519", "scheme": "ed25519", "keyval": keyval})


def test_the_id_follows_from_the_content() -> None:
    """SHA-256 over the canonical JSON of type, scheme and value: other tools give the same key the same name."""
    content = '{"keytype":"ed25519","keyval":{"public":"' + "00" * 32 + '"},"scheme":"ed25519"}'
    assert key_id("00" * 32) == hashlib.sha256(content.encode()).hexdigest()
    assert PUBLIC.keyid == key_id(PUBLIC.keyval["public"])
