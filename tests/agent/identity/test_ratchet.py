"""The agent's half of the ratchet and its keys."""

from __future__ import annotations

from fleetroll_agent.identity.ratchet import (
    Keys,
    Ratchet,
    on_key_accepted,
    on_key_welcomed,
    on_refusal,
    on_welcome,
    propose,
)
from fleetroll_common.values.codes import Code

OLD, NEW, FRESH = b"o" * 32, b"n" * 32, b"f" * 32
PAIR = Ratchet(OLD, NEW, 4)


def test_a_welcome_that_names_the_next_moves_on() -> None:
    assert on_welcome(PAIR, NEW, FRESH) == Ratchet(NEW, FRESH, 5)


def test_any_other_welcome_changes_nothing() -> None:
    """A late one, and the one of a quarantined session, name something else."""
    assert on_welcome(PAIR, OLD, FRESH) is PAIR
    assert on_welcome(PAIR, b"", FRESH) is PAIR


def test_the_pending_key_speaks_first_and_the_old_one_only_when_it_is_unknown() -> None:
    keys = propose(Keys(OLD), NEW)
    assert keys == Keys(OLD, NEW)
    assert keys.speaking == NEW
    assert on_refusal(keys, Code.IDENTITY_UNKNOWN).speaking == OLD


def test_no_other_refusal_makes_the_old_key_speak() -> None:
    """The server may have ended the old key in a Welcome that got lost: a hello with it would be a fork."""
    keys = Keys(OLD, NEW)
    others = [code for code in Code if code is not Code.IDENTITY_UNKNOWN]
    assert {on_refusal(keys, code).speaking for code in others} == {NEW}


def test_a_refusal_of_the_old_key_changes_nothing() -> None:
    spoke_with_old = Keys(OLD, NEW, pending_unknown=True)
    assert on_refusal(spoke_with_old, Code.IDENTITY_UNKNOWN) == spoke_with_old
    assert on_refusal(Keys(OLD), Code.IDENTITY_UNKNOWN) == Keys(OLD)


def test_a_welcome_ends_the_old_key_only_when_the_pending_one_spoke() -> None:
    assert on_key_welcomed(Keys(OLD, NEW)) == Keys(NEW)
    spoke_with_old = Keys(OLD, NEW, pending_unknown=True)
    assert on_key_welcomed(spoke_with_old) == spoke_with_old
    assert on_key_welcomed(Keys(OLD)) == Keys(OLD)


def test_a_key_that_is_pending_is_proposed_again() -> None:
    """The server may hold it already: another one would leave it with a key that nobody has."""
    spoke_with_old = Keys(OLD, NEW, pending_unknown=True)
    assert propose(spoke_with_old, FRESH).pending == NEW


def test_after_the_server_took_the_pending_key_the_next_hello_speaks_with_it() -> None:
    assert on_key_accepted(Keys(OLD, NEW, pending_unknown=True)).speaking == NEW


def test_keys_are_never_shown() -> None:
    assert OLD.decode() not in repr(Keys(OLD, NEW))
    assert NEW.decode() not in repr(Keys(OLD, NEW))
