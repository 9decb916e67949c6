"""Following a key: each step signed by both, from a key that is known to the one that speaks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from fleetroll_common.wire.signing import public_key, rotate_bytes, sign
from fleetroll_server.recovery.evidence import Rotation
from fleetroll_server.recovery.keys import replaced_keys

AGENT = "agent-1"
SEEDS = [bytes([number]) * 32 for number in range(1, 6)]
KEYS = [public_key(seed) for seed in SEEDS]


def step(old: bytes, new: bytes, agent: str = AGENT) -> Rotation:
    said = rotate_bytes(agent, public_key(old), public_key(new))
    return Rotation(public_key(old), public_key(new), sign(old, said), sign(new, said))


CHAIN = [step(old, new) for old, new in pairwise(SEEDS)]


@pytest.mark.parametrize("known", range(5))
def test_a_chain_leads_from_any_known_key(known: int) -> None:
    assert replaced_keys(AGENT, [KEYS[known]], KEYS[4], CHAIN) == tuple(KEYS[known:4])


def test_an_unknown_beginning_leads_nowhere() -> None:
    assert replaced_keys(AGENT, [bytes(32)], KEYS[4], CHAIN) is None


def test_a_gap_leads_nowhere() -> None:
    assert replaced_keys(AGENT, [KEYS[0]], KEYS[4], [CHAIN[0], *CHAIN[2:]]) is None


@pytest.mark.parametrize("part", ["old_signature", "new_signature"])
def test_one_signature_is_not_enough(part: str) -> None:
    forged = replace(CHAIN[2], **{part: bytes(64)})
    assert replaced_keys(AGENT, [KEYS[0]], KEYS[4], [*CHAIN[:2], forged, CHAIN[3]]) is None


def test_a_thief_of_an_old_key_can_not_name_its_own() -> None:
    thief = b"\x77" * 32
    stolen = replace(step(thief, thief), old_key=KEYS[0], new_key=public_key(thief))
    assert replaced_keys(AGENT, [KEYS[0]], public_key(thief), [stolen]) is None


def test_another_agents_chain_counts_for_nothing() -> None:
    others = [step(SEEDS[0], SEEDS[1], "agent-2")]
    assert replaced_keys(AGENT, [KEYS[0]], KEYS[1], others) is None


def test_a_circle_ends() -> None:
    circle = [step(SEEDS[0], SEEDS[1]), step(SEEDS[1], SEEDS[0])] * 9
    assert replaced_keys(AGENT, [bytes(32)], KEYS[1], circle) is None
