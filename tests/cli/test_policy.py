"""``fleetroll policy``: what is sent for what is typed, what people read, and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from fleetroll.v1 import agents_pb2, policy_pb2, types_pb2
from fleetroll_cli.exits import Exit
from fleetroll_cli.policy_values import FIELDS, read_values
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.policy import DEFAULTS
from fleetroll_server.rpc.convert_policy import names_to_wire, values_from_wire
from tests.faults.policies import values

if TYPE_CHECKING:
    from tests.cli.commands import Commands

LEVEL = policy_pb2.PolicyLevel(fleet_id="default")
STANDS = policy_pb2.GetPolicyResponse(
    fields=[
        policy_pb2.EffectiveField(
            name="pin",
            value="minor 1.4",
            origin=policy_pb2.POLICY_ORIGIN_FLEET,
            product="shop",
            set_by=types_pb2.Actor(id="ana"),
            set_at=Timestamp(seconds=1_800_000_000),
        ),
        policy_pb2.EffectiveField(name="windows", value="none", origin=policy_pb2.POLICY_ORIGIN_DEFAULT),
    ],
    documents=[policy_pb2.PolicyDocument(level=LEVEL, serial=7)],
)
CHANGED = policy_pb2.SetPolicyResponse(document=policy_pb2.PolicyDocument(level=LEVEL, serial=8), rollouts=2)


@pytest.fixture
def answering(commands: Commands) -> Commands:
    commands.answers["GetPolicy"] = STANDS
    commands.answers["SetPolicy"] = CHANGED
    return commands


def test_what_holds_is_shown_with_its_origin(answering: Commands) -> None:
    ended = answering.run("policy", "show")
    assert ended.code == Exit.OK
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[1] == ["pin", "minor", "1.4", "fleet", "for", "shop", "ana", "2027-01-15", "08:00:00Z"]
    assert lines[2] == ["windows", "none", "default", "-", "-"]
    assert ended.out.endswith("fleet default, all products: serial 7\n")
    assert answering.requests("GetPolicy")[0].level == LEVEL


def test_a_change_carries_the_serial_that_was_read_or_seen(answering: Commands) -> None:
    ended = answering.run(
        "policy", "set", "pin=minor 1.4", "windows=mon 01:00-02:00 UTC; sat 10:00-12:00 local", "--reason", "r"
    )
    assert (ended.code, ended.out) == (
        Exit.OK,
        "fleet default, all products: serial 8; 2 rollouts under way go by it\n",
    )
    assert answering.run("policy", "unset", "pin", "--reason", "r", "--serial", "3").code == Exit.OK
    first, second = answering.requests("SetPolicy")
    windows = ["mon 01:00-02:00 UTC", "sat 10:00-12:00 local"]
    assert first == policy_pb2.SetPolicyRequest(
        level=LEVEL, serial=7, set=values(pin="minor 1.4", windows=windows), reason="r"
    )
    assert second == policy_pb2.SetPolicyRequest(level=LEVEL, serial=3, unset=["pin"], reason="r")


@pytest.mark.parametrize(
    ("options", "level"),
    [
        (("--global",), policy_pb2.PolicyLevel()),
        (("--fleet", "eu", "--product", "shop"), policy_pb2.PolicyLevel(fleet_id="eu", product="shop")),
        (("--host", "web"), policy_pb2.PolicyLevel(agent_id="agent-1")),
    ],
)
def test_a_level_is_named_by_options(answering: Commands, options: tuple[str, ...], level: Any) -> None:
    answering.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(id="agent-1", name="web"))
    assert answering.run("policy", "show", *options).code == Exit.OK
    assert answering.requests("GetPolicy")[0].level == level


def test_all_fleets_and_a_fleet_contradict_each_other(answering: Commands) -> None:
    ended = answering.run("policy", "show", "--global", "--fleet", "eu")
    assert ended.code == Exit.ERROR
    assert "global: it goes with neither" in ended.err


def test_each_field_of_the_contract_can_be_typed_and_is_read_as_the_server_reads_it() -> None:
    """The names are those of the wire, and each value arrives as one of the domain's."""
    assert sorted(FIELDS) == sorted(names_to_wire(DEFAULTS))
    typed = {
        "channel": "stable", "pin": "none", "allow_major": "yes", "updates_off": "no", "windows": "none",
        "blackouts": "2026-12-24 local", "expected": "10m", "max_concurrent": "3", "max_failed": "2",
        "min_sample": "4", "max_downloading": "9", "max_attempts": "5", "failure_limit": "2%", "bake": "30s",
        "soak": "1m", "lease": "10m", "not_after": "2d", "offline_policy": "skip",
    }  # fmt: skip
    assert set(typed) == set(FIELDS)
    assert values_from_wire(read_values([f"{name}={value}" for name, value in typed.items()])) == {
        "channel": "stable", "pin": None, "allow_major": True, "updates_off": False, "windows": [],
        "blackouts": ["2026-12-24 local"], "expected_seconds": 600, "max_concurrent": 3, "max_failed": 2,
        "min_sample": 4, "max_downloading": 9, "max_attempts": 5, "failure_limit": 0.02, "bake_seconds": 30,
        "soak_seconds": 60, "lease_seconds": 600, "not_after_seconds": 172_800, "offline_policy": "skip",
    }  # fmt: skip


@pytest.mark.parametrize(
    "pair",
    ["pin", "colour=red", "pin=", "allow_major=perhaps", "max_failed=some", "max_failed=99999999999",
     "failure_limit=much", "bake=long", "offline_policy=", "offline_policy=hope"],
)  # fmt: skip
def test_what_is_no_field_or_value_is_refused_before_anything_is_sent(answering: Commands, pair: str) -> None:
    ended = answering.run("policy", "set", pair, "--reason", "r")
    assert (ended.code, ended.out) == (Exit.ERROR, "")
    assert "INVALID_ARGUMENT" in ended.err
    assert answering.requests("GetPolicy") == answering.requests("SetPolicy") == []


def test_a_field_that_comes_twice_is_refused() -> None:
    with pytest.raises(RequestError, match="comes twice"):
        read_values(["pin=none", "pin=major 1"])


def test_history_says_what_changed(answering: Commands) -> None:
    change = policy_pb2.PolicyChange(
        serial=2,
        fields=["pin", "bake", "windows", "offline_policy", "newer"],
        before=values(pin="major 1", windows=["mon 01:00-02:00 UTC"]),
        after=values(pin="", bake=90, offline_policy=2),
        decision=types_pb2.Decision(actor=types_pb2.Actor(id="ana"), reason="frozen"),
    )
    answering.answers["ListPolicyHistory"] = policy_pb2.ListPolicyHistoryResponse(changes=[change])
    out = answering.run("policy", "history").out
    for text in (
        "pin: major 1 → none",
        "bake: - → 90s",
        "windows: mon 01:00-02:00 UTC → -",
        "offline_policy: - → skip",
    ):
        assert text in out
    assert json.loads(answering.run("policy", "history", "--json").out)["changes"][0]["serial"] == "2"


def test_openings_are_shown_with_a_draft(answering: Commands) -> None:
    opening = policy_pb2.PolicyOpening(begins=Timestamp(seconds=1_800_000_000))
    answering.answers["PreviewPolicy"] = policy_pb2.PreviewPolicyResponse(openings=[opening], why="it is day")
    ended = answering.run("policy", "windows", "--zone", "Asia/Tokyo", "--count", "2", "--set", "windows=none")
    assert ended.out.splitlines()[0] == "now: shut: it is day"
    assert ended.out.splitlines()[2].split() == ["2027-01-15", "08:00:00Z", "-"]
    assert answering.requests("PreviewPolicy")[0] == policy_pb2.PreviewPolicyRequest(
        level=LEVEL, time_zone="Asia/Tokyo", count=2, set=values(windows=[])
    )
