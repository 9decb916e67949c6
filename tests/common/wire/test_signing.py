"""Signed bytes: golden vectors that another program can check, and one field changed at a time."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire import macs, signing

SEED = bytes(range(32))
PUBLIC = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
HELLO: dict[str, Any] = {
    "nonce": b"\x01" * 32,
    "server_id": "server-1",
    "agent_id": "agent-1",
    "key": PUBLIC,
    "ratchet_current": b"\x02" * 32,
    "ratchet_next": b"\x03" * 32,
    "advances": 7,
    "payload": b"state",
}


def test_the_bytes_of_a_hello_are_context_and_length_prefixed_fields() -> None:
    fields = [b"\x01" * 32, b"server-1", b"agent-1", PUBLIC, b"\x02" * 32, b"\x03" * 32]
    fields += [b"\x00\x00\x00\x00\x00\x00\x00\x07", hashlib.sha256(b"state").digest()]
    expected = b"fleetroll/hello/v1" + b"".join(struct.pack(">I", len(field)) + field for field in fields)
    assert signing.hello_bytes(**HELLO) == expected


def test_golden_signature_of_a_hello() -> None:
    """Another version of the program verifies this very signature."""
    assert signing.public_key(SEED) == PUBLIC
    assert signing.sign(SEED, signing.hello_bytes(**HELLO)).hex() == GOLDEN_HELLO


def test_golden_bytes_of_enrolment_and_rotation() -> None:
    assert signing.enroll_bytes("t0k", b"\x05\x06") == b"fleetroll/enroll/v1\0\0\0\x03t0k\0\0\0\x02\x05\x06"
    assert signing.rotate_bytes("a", b"\x05", b"\x06") == b"fleetroll/rotate/v1\0\0\0\x01a\0\0\0\x01\x05\0\0\0\x01\x06"


def test_the_signature_of_the_standard_holds_here() -> None:
    """RFC 8032, section 7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signature = signing.sign(seed, b"\x72")
    assert signature.hex().startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    signing.verify(signing.public_key(seed), b"\x72", signature)


@pytest.mark.parametrize("field", sorted(HELLO))
def test_a_hello_with_one_field_changed_is_refused(field: str) -> None:
    signature = signing.sign(SEED, signing.hello_bytes(**HELLO))
    signing.verify(PUBLIC, signing.hello_bytes(**HELLO), signature)
    value = HELLO[field]
    other = value + 1 if isinstance(value, int) else value[:-1] + (b"\xff" if isinstance(value, bytes) else "x")
    changed = signing.hello_bytes(**{**HELLO, field: other})
    with pytest.raises(RequestError) as caught:
        signing.verify(PUBLIC, changed, signature)
    assert caught.value.code is Code.BAD_SIGNATURE


def test_a_byte_moved_between_two_fields_gives_other_bytes() -> None:
    moved = {**HELLO, "server_id": "server-1a", "agent_id": "gent-1"}
    assert signing.hello_bytes(**moved) != signing.hello_bytes(**HELLO)


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_different_fields_never_give_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (signing.join_fields(b"c", one) == signing.join_fields(b"c", other)) == (one == other)


def test_no_context_is_the_beginning_of_another() -> None:
    contexts = [*signing.CONTEXTS, *macs.CONTEXTS]
    pairs = [(one, other) for one in contexts for other in contexts if one is not other]
    assert pairs
    assert not [pair for pair in pairs if pair[1].startswith(pair[0])]


def test_a_signature_for_one_purpose_is_worthless_for_another() -> None:
    fields = (b"agent", PUBLIC, PUBLIC)
    signature = signing.sign(SEED, signing.join_fields(signing.ROTATE_CONTEXT, fields))
    with pytest.raises(RequestError):
        signing.verify(PUBLIC, signing.join_fields(signing.HELLO_CONTEXT, fields), signature)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(RequestError) as caught:
        signing.verify(PUBLIC, b"m", b"\0" * size)
    assert caught.value.code is Code.BAD_SIGNATURE


@pytest.mark.parametrize(
    "key",
    [b"", b"\0" * 31, PUBLIC + b"\0", b"\0" * 32, b"\x01" + b"\0" * 31, b"\xec" + b"\xff" * 30 + b"\x7f"],
    ids=["empty", "short", "long", "order4", "identity", "order2"],
)
def test_a_key_that_is_none_or_of_small_order_is_refused(key: bytes) -> None:
    """For the identity as key, this signature would hold for every message."""
    signature = b"\x01" + b"\0" * 63
    with pytest.raises(RequestError) as caught:
        signing.verify(key, b"m", signature)
    assert caught.value.code is Code.BAD_SIGNATURE


@pytest.mark.parametrize("value", [-1, 2**64])
def test_a_count_that_the_wire_can_not_carry_is_refused(value: int) -> None:
    with pytest.raises(struct.error):
        signing.number(value)


GOLDEN_HELLO = (
    "b4db0270585a85879be43c604cd99f593402917f55939db84416294b09b5dca5966a292391716e50a9d11812e7020aade948"
    "49d443381c0745357d1f267b3307"
)
