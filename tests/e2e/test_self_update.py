"""One agent updates itself; releases that are bad, each in its own way, go back and stop their rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import reasons_pb2, types_pb2
from tests.e2e.fleet import releases
from tests.e2e.fleet.template import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Case:
    """One release, the host that gets it, and how that has to end.

    Attributes:
        version: of the release.
        host: which gets it.
        code: why it ended; empty = it is kept.
        says: stands in the message or the last output.
        switched: it was started in earnest.
        soak: seconds.
        options: of the launcher.
    """

    version: str
    host: str
    code: str = ""
    says: str = ""
    switched: bool = True
    soak: float = 1.0
    options: tuple[str, ...] = ()


GOOD = Case(releases.GOOD, "h1")
BAD = (
    Case(releases.DIES_AT_START, "h2", "START_FAILED", "/dev/frobnicator"),
    Case(releases.HANGS_AT_START, "h3", "START_FAILED", "/dev/frobnicator", options=("--start-limit", "8")),
    Case(releases.HANGS, "h4", "HUNG", "waiting_for_lock", soak=60.0, options=("--hang-limit", "6")),
    Case(releases.DIES_IN_SOAK, "h5", "EXITED", "no_memory_left", soak=15.0),
    Case(releases.FAILS_SELF_TEST, "h6", "SELF_TEST_FAILED", "libfrob.so.2", switched=False),
    Case(releases.OTHER_VERSION, "h7", "VERSION_MISMATCH", "1.5.9", switched=False),
    Case(releases.UNHEALTHY, "h8", "HEALTH_FAILED", "not healthy", soak=15.0),
)
CASES = (GOOD, *BAD)


@dataclass(frozen=True)
class Shown:
    """The fleet after all rollouts have ended, with the ids of the rollouts and their outcomes by version."""

    fleet: Fleet
    rollouts: dict[str, str]
    outcomes: dict[str, str]


@pytest.fixture(scope="module")
def shown(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Give every host its release, all at once, and wait for every outcome."""
    fleet = template.copy(tmp_path_factory.mktemp("self-update"), *(case.host for case in CASES))
    try:
        fleet.start_server()
        for case in CASES:
            fleet.hosts[case.host].start(*case.options)
        fleet.wait_online()
        lease = 120.0
        rollouts = {case.version: fleet.rollout(case.version, case.host, soak=case.soak, lease=lease) for case in CASES}
        outcomes = {version: fleet.outcome(rollout, 150) for version, rollout in rollouts.items()}
        fleet.wait_online()
        yield Shown(fleet, rollouts, outcomes)
    finally:
        fleet.end()


def test_a_good_release_is_kept(shown: Shown) -> None:
    host = shown.fleet.hosts[GOOD.host]
    assert shown.outcomes[GOOD.version] == "COMPLETED"
    assert host.told(1) == [
        "OFFERED",
        "DOWNLOADING",
        "STAGED",
        "APPLYING self_test",
        "APPLYING arm",
        "APPLYING restart",
        "TRIAL",
        "SUCCEEDED",
    ]
    boot = host.boot()
    assert (boot["current"]["version"], boot["previous"]["version"], boot["trial"]) == (GOOD.version, FIRST, None)
    assert boot["last"]["ended"] == "committed"
    slot = host.state / "slots" / "agent" / boot["current"]["slot"]
    assert (slot / "GOOD").exists()
    assert [report.said.value for report in host.journal()].count("SUCCEEDED") == 1


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.code + case.version)
def test_a_bad_release_goes_back_by_itself_and_halts_its_rollout(shown: Shown, case: Case) -> None:
    place = shown.fleet.place(shown.rollouts[case.version], case.host)
    state = types_pb2.AttemptState.Name(place.attempt.state).removeprefix("ATTEMPT_STATE_")
    code = reasons_pb2.ReasonCode.Name(place.attempt.code).removeprefix("REASON_CODE_")
    assert shown.outcomes[case.version] == "HALTED"
    assert (state, code) == ("ROLLED_BACK" if case.switched else "FAILED", case.code)
    assert case.says in place.attempt.message + place.attempt.output_tail
    assert not place.attempt.unproven


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.code + case.version)
def test_the_host_of_a_bad_release_runs_the_old_version_and_is_online(shown: Shown, case: Case) -> None:
    host, agent = shown.fleet.hosts[case.host], shown.fleet.agents()[case.host]
    boot = host.boot()
    (product,) = agent.products
    assert (agent.online, product.current_version) == (True, FIRST)
    assert (boot["current"]["version"], boot["trial"]) == (FIRST, None)
    assert host.status()["version"] == FIRST


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.code + case.version)
def test_boot_record_and_journal_say_why(shown: Shown, case: Case) -> None:
    host = shown.fleet.hosts[case.host]
    boot, told, last = host.boot(), host.told(1), host.journal(1)[-1]
    assert last.code == case.code
    assert last.said.value == ("ROLLED_BACK" if case.switched else "FAILED")
    assert case.says in last.message + last.output_tail
    if case.switched:
        assert told[3:6] == ["APPLYING self_test", "APPLYING arm", "APPLYING restart"]
        assert (boot["last"]["code"], boot["last"]["reason"], len(boot["bad"])) == (case.code, "bad", 1)
    else:
        assert told[3:] == ["APPLYING self_test", "FAILED"]
        assert (boot["last"], boot["bad"]) == (None, [])


def test_the_count_of_bad_releases_is_printed(shown: Shown) -> None:
    stopped = [case for case in BAD if shown.outcomes[case.version] == "HALTED"]
    print(f"self-update: 1 release kept, {len(stopped)} of {len(BAD)} bad releases went back by themselves")
    assert len(stopped) == len(BAD)


def test_charges_are_held_by_halted_rollouts_alone_and_by_none_when_they_have_ended(shown: Shown) -> None:
    """The last test of this module: it ends the rollouts."""
    held = "SELECT scope, in_use, broken FROM budget WHERE in_use != 0 OR broken != 0 ORDER BY scope"
    halted = sorted(f"rollout/{shown.rollouts[case.version]}" for case in BAD)
    assert shown.fleet.records.rows(held) == [(scope, 0, 1) for scope in halted]
    for case in BAD:
        shown.fleet.cancel(shown.rollouts[case.version])
    assert shown.fleet.records.rows(held) == []
