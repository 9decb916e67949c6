"""Receipts and session tokens: bound to every part, over when they are over, worthless under another key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire import macs

KEY = b"k" * 32
END = datetime(2026, 1, 1, 0, 15, tzinfo=UTC)
NOW = END - timedelta(minutes=15)


def test_golden_macs() -> None:
    """A server of another version accepts these very bytes."""
    assert macs.receipt_mac(KEY, "inc-1", "agent-1", 7).hex() == GOLDEN_RECEIPT
    assert macs.session_token(KEY, "agent-1", 7, END).hex() == GOLDEN_TOKEN
    assert macs.enrolment_mac(KEY, b"receipt").hex() == GOLDEN_ENROLMENT


@pytest.mark.parametrize(
    ("key", "incarnation", "agent", "epoch"),
    [
        (b"x" * 32, "inc-1", "agent-1", 7),
        (KEY, "inc-2", "agent-1", 7),
        (KEY, "inc-1", "agent-2", 7),
        (KEY, "inc-1", "agent-1", 8),
    ],
)
def test_a_receipt_holds_for_its_own_parts_alone(key: bytes, incarnation: str, agent: str, epoch: int) -> None:
    mac = macs.receipt_mac(KEY, "inc-1", "agent-1", 7)
    assert macs.receipt_holds(KEY, "inc-1", "agent-1", 7, mac)
    assert not macs.receipt_holds(key, incarnation, agent, epoch, mac)


def test_an_enrolment_receipt_holds_for_its_own_bytes_alone() -> None:
    mac = macs.enrolment_mac(KEY, b"receipt")
    assert macs.enrolment_holds(KEY, b"receipt", mac)
    assert not macs.enrolment_holds(KEY, b"receipt2", mac)
    assert not macs.enrolment_holds(b"x" * 32, b"receipt", mac)
    assert not macs.enrolment_holds(KEY, b"receipt", b"")


def test_a_token_says_who_which_session_and_until_when() -> None:
    claims = macs.read_session_token(KEY, macs.session_token(KEY, "agent-ä", 7, END), NOW)
    assert claims == macs.SessionClaims("agent-ä", 7, END)


def test_a_token_is_over_at_its_end_and_not_before() -> None:
    token = macs.session_token(KEY, "agent-1", 7, END)
    assert macs.read_session_token(KEY, token, END - timedelta(milliseconds=1)).epoch == 7
    with pytest.raises(RequestError, match="ended at 2026-01-01T00:15:00") as caught:
        macs.read_session_token(KEY, token, END)
    assert caught.value.code is Code.UNAUTHENTICATED


@given(st.data())
def test_any_changed_byte_of_a_token_is_refused(data: st.DataObject) -> None:
    token = bytearray(macs.session_token(KEY, "agent-1", 7, END))
    token[data.draw(st.integers(0, len(token) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RequestError, match="not made by this server"):
        macs.read_session_token(KEY, bytes(token), NOW)


@given(st.binary(max_size=80))
def test_any_other_bytes_are_refused_with_the_same_code(token: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        macs.read_session_token(KEY, token, NOW)
    assert caught.value.code is Code.UNAUTHENTICATED


def test_a_token_under_another_key_is_refused() -> None:
    with pytest.raises(RequestError):
        macs.read_session_token(b"x" * 32, macs.session_token(KEY, "agent-1", 7, END), NOW)


@pytest.mark.parametrize("row_epoch", [6, 8])
def test_a_token_of_another_epoch_is_told_to_reconnect(row_epoch: int) -> None:
    """A newer hello and a revocation both raise the row's epoch."""
    claims = macs.read_session_token(KEY, macs.session_token(KEY, "agent-1", 7, END), NOW)
    macs.require_epoch(claims, 7)
    with pytest.raises(RequestError) as caught:
        macs.require_epoch(claims, row_epoch)
    assert caught.value.code is Code.RECONNECT


GOLDEN_RECEIPT = "2ac77a1a73ea647681a20daa54354e3628df59853947f0dcecb1db0788fb0e18"
GOLDEN_TOKEN = (
    "010000000000000007000000006955bc846167656e742d316294e102434f2570954b9365de59bd0d1665c4afd85cf1cdd33ffdc0473c2dfd"
)
GOLDEN_ENROLMENT = "69708bf129221b3502da85d713678ada92130ab0462b1d53986ea7fd7c94bed8"
