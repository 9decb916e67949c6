"""States of the contract: the console has a look, a word for filters and a meaning for each, and none of its own."""

from __future__ import annotations

import pytest

from fleetroll.v1 import rollouts_pb2, types_pb2
from fleetroll_tui import convert
from fleetroll_tui.model import fields
from fleetroll_tui.model.filters import compile_filter
from fleetroll_tui.model.values import ACTIVE, BAD, ENDED, ROLLOUT_ENDED, Attempt, Member
from fleetroll_tui.signs import ATTEMPTS, ROLLOUTS, WAVES, to_ascii

OF_ATTEMPTS = {convert.attempt_state(value) for value in types_pb2.AttemptState.values()} - {""}
OF_ROLLOUTS = {convert.rollout_state(value) for value in rollouts_pb2.RolloutState.values()} - {""}
OF_WAVES = {convert.wave_state(value) for value in rollouts_pb2.WaveState.values()} - {""}
OF_HOSTS = {"", "none", "revoked", "quarantined"}
"""What the console says of a host beside the state of its attempt."""


def test_every_state_of_the_contract_has_a_look_and_no_other_has_one() -> None:
    assert set(ATTEMPTS) == OF_ATTEMPTS | OF_HOSTS
    assert set(ROLLOUTS) == OF_ROLLOUTS
    assert set(WAVES) == OF_WAVES


def test_every_state_of_the_contract_goes_on_or_has_ended() -> None:
    assert ACTIVE | ENDED | {"pending"} == OF_ATTEMPTS
    assert not ACTIVE & ENDED
    assert BAD < ENDED
    assert ROLLOUT_ENDED < OF_ROLLOUTS


@pytest.mark.parametrize("state", sorted(OF_ATTEMPTS))
def test_every_state_of_an_attempt_is_found_by_its_name(state: str) -> None:
    member = Member("ag-1", "edge-1", 1, Attempt("at-1", state=state))
    assert compile_filter(f"state:{state}", fields.MEMBER_FIELDS).holds(member, 0.0)


def test_every_state_of_a_rollout_is_found_by_its_name() -> None:
    assert set(fields.ROLLOUT_STATES) == OF_ROLLOUTS


def test_what_was_counted_against_nobody_looks_like_nothing_lost() -> None:
    excused, lost = ATTEMPTS["excused"], ATTEMPTS["lost"]
    assert excused.word == "excused"
    assert (excused.role, excused.role == lost.role) == ("muted", False)
    assert excused.glyph != lost.glyph
    assert excused.ascii != lost.ascii
    assert to_ascii(excused.glyph) == excused.ascii
