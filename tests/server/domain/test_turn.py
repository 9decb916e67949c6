"""A host's turn: what it brings follows from what stands, in one order, and silence before Go harms nobody."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from fleetroll_common.values.codes import Code
from fleetroll_common.values.pins import Pin, PinKind
from fleetroll_common.values.platform import Platform
from fleetroll_server.domain.eligible import RULES, HostFacts, ReleaseFacts, objection, objections
from fleetroll_server.domain.hostrules import HostRules
from fleetroll_server.domain.limits import OfflinePolicy
from fleetroll_server.domain.states import Trigger
from fleetroll_server.domain.turn import OFFER, RETURNING, Presence, Turn, TurnFacts, turn

LINUX = Platform.parse("linux-x86_64-cp311")
HOST = HostFacts("id-a", "a", {}, LINUX, "1.0.0", revoked=False, claimed_by="")
RELEASE = ReleaseFacts("shop", "2.0.0", {LINUX: "ab" * 32}, "0.9.0")
IN_THE_WAY = {
    Code.HOST_REVOKED: {"revoked": True},
    Code.NOT_OPTED_IN: {"keeps": False},
    Code.ALREADY_AT_TARGET: {"version": "2.0.0"},
    Code.NO_ARTIFACT: {"platform": None},
    Code.BELOW_SUPPORTED: {"version": "0.8.0"},
    Code.OPTED_OUT: {"rules": HostRules(updates_off=True, allow_major=True)},
    Code.CHANNEL_NOT_ALLOWED: {"rules": HostRules(channel="stable", allow_major=True)},
    Code.PINNED: {"rules": HostRules(pin=Pin(PinKind.MAJOR, (1,)), allow_major=True)},
    Code.NOT_ALLOWED: {"rules": HostRules()},
    Code.WINDOW_TOO_SHORT: {"rules": HostRules(allow_major=True, longest_seconds=60)},
}


def test_a_host_with_nothing_in_its_way_gets_an_offer() -> None:
    assert objection(HOST, RELEASE) is None
    assert turn(TurnFacts(Presence.HERE)) is OFFER


@pytest.mark.parametrize(("code", "facts"), IN_THE_WAY.items())
def test_each_reason_is_named_with_the_host(code: Code, facts: dict[str, object]) -> None:
    found = objection(replace(HOST, **facts), RELEASE)  # type: ignore[arg-type]
    assert found is not None
    assert found.code is code
    assert found.message.startswith("a: ")


def test_all_reasons_are_told_and_the_first_is_acted_on() -> None:
    host = replace(HOST, revoked=True, keeps=False, version="0.8.0", platform=None)
    codes = [found.code for found in objections(host, RELEASE)]
    assert codes == [Code.HOST_REVOKED, Code.NOT_OPTED_IN, Code.NO_ARTIFACT, Code.BELOW_SUPPORTED]
    first = objection(host, RELEASE)
    assert first is not None
    assert first.code is codes[0]


def test_every_rule_is_one_of_those_that_are_shown_here() -> None:
    assert len(RULES) == len(IN_THE_WAY) + 1, "what is revoked is of the release, and shown below"


def test_a_way_back_to_what_was_revoked_is_named_and_one_to_what_was_not_is_free() -> None:
    found = objection(HOST, replace(RELEASE, revoked=True))
    assert found is not None
    assert (found.code, "was revoked" in found.message) == (Code.DIGEST_REVOKED, True)


@pytest.mark.parametrize("policy", OfflinePolicy)
def test_only_a_host_that_is_offline_is_judged_by_the_offline_policy(policy: OfflinePolicy) -> None:
    found = {presence: turn(TurnFacts(presence, offline_policy=policy)) for presence in Presence}
    assert found[Presence.HERE] is OFFER
    assert found[Presence.RETURNING] is RETURNING
    assert found[Presence.CHECKS_IN] == Turn(None, Code.CHECK_IN)
    trigger = {OfflinePolicy.WAIT: None, OfflinePolicy.SKIP: Trigger.SKIP, OfflinePolicy.FAIL: Trigger.FAIL}[policy]
    assert found[Presence.OFFLINE].trigger is trigger


@pytest.mark.parametrize("policy", OfflinePolicy)
def test_a_late_host_that_is_offline_waits_whatever_the_policy_says(policy: OfflinePolicy) -> None:
    assert turn(TurnFacts(Presence.OFFLINE, late=True, offline_policy=policy)) == Turn(None, Code.HOST_OFFLINE)


def test_nothing_but_an_offer_comes_of_anything_that_stands() -> None:
    either = (False, True)
    for presence, quarantined, held, superseded in itertools.product(Presence, either, either, either):
        facts = TurnFacts(presence, quarantined=quarantined, held=held, superseded=superseded)
        free = presence is Presence.HERE and not (quarantined or held or superseded)
        assert (turn(facts) is OFFER) is free
