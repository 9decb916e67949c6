"""Promote on a bad line: lost, late, for something else, after the lease; and the soak is held whatever comes."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll.v1 import types_pb2
from tests.attacks.wire.meddler import CONNECT, Cut, Meddler, Swallow
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import GOOD
from tests.e2e.fleet.template import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.jobs.values import Report
    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

IN_SOAK, LOST, LATE, DIGEST, ATTEMPT, AFTER_LEASE, AWAY = (f"h{number}" for number in range(1, 8))
HOSTS = (IN_SOAK, LOST, LATE, DIGEST, ATTEMPT, AFTER_LEASE, AWAY)
LONG_SOAK_SECONDS = 6.0
LATE_SECONDS = 4.0
SHORT_LEASE_SECONDS = 8.0
JITTER_SECONDS = 1.0
"""Between the first healthy beat, from which the launcher counts, and the report of the trial: some writes."""


@dataclass
class Play:
    """One host, the meddler on its line, and what was seen.

    Attributes:
        promotes: that the server sent.
        trial_at: when the trial was first seen in the launcher's record; Unix seconds.
        promoted_at: when its record first had the Promote while the old version was the kept one.
        kept_at: when the new version was first seen as the kept one.
    """

    fleet: Fleet
    host: Host
    meddler: Meddler
    rollout: str = ""
    promotes: list[stream_pb2.Promote] = field(default_factory=list)
    trial_at: float = 0.0
    promoted_at: float = 0.0
    kept_at: float = 0.0
    released: bool = False

    def rule(self, method: str, _request: bytes, message: bytes) -> bytes:
        """Let pass what is no Promote; treat one as this host's part says."""
        if method != CONNECT:
            return message
        said = stream_pb2.ConnectResponse.FromString(message)
        if said.WhichOneof("message") != "promote":
            return message
        self.promotes.append(said.promote)
        if self.host.name == LOST and len(self.promotes) == 1:
            raise Cut
        if self.host.name in {LATE, AFTER_LEASE} and not self.released:
            raise Swallow
        if self.host.name == DIGEST:
            said.promote.sha256 = bytes(32)
        if self.host.name == ATTEMPT:
            said.promote.generation += 1
        return said.SerializeToString()

    def look(self) -> None:
        """Look at the launcher's record, and do what is due."""
        now, boot = time.time(), self.host.boot()
        trial = boot["trial"]
        if trial is not None:
            self.trial_at = self.trial_at or now
            if trial["promoted"] and boot["current"]["version"] == FIRST:
                self.promoted_at = self.promoted_at or now
        if boot["current"]["version"] == GOOD:
            self.kept_at = self.kept_at or now
        if self.host.name == AWAY and trial is not None and not self.meddler.closed:
            self.meddler.closed = True
            self.meddler.cut()
        if self.host.name == LATE and self.trial_at and now > self.trial_at + LATE_SECONDS and not self.released:
            self.released = True
            self.meddler.cut()

    def said(self, name: str) -> Report:
        """Return the host's first report of a state."""
        return next(report for report in self.host.journal() if report.said.value == name)

    @property
    def is_over(self) -> bool:
        """Tell whether the attempt has ended on the host."""
        return bool(self.host.product().outcomes)


@pytest.fixture(scope="module")
def plays(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Play]]:
    """Let all hosts update at once, each with its own disturbance, until each attempt has ended on its host."""
    fleet = template.copy(tmp_path_factory.mktemp("promote"), *HOSTS)
    with contextlib.ExitStack() as stack:
        stack.callback(fleet.end)
        fleet.start_server()
        plays = {name: Play(fleet, host, stack.enter_context(Meddler(fleet))) for name, host in fleet.hosts.items()}
        _run(fleet, plays)
        yield plays


def _run(fleet: Fleet, plays: dict[str, Play]) -> None:
    for name, play in plays.items():
        play.meddler.down = play.rule
        play.host.aim(play.meddler.address)
        play.host.start()
        fleet.wait_online(name)
    for name, play in plays.items():
        short = name in {DIGEST, ATTEMPT, AFTER_LEASE, AWAY}
        soak = LONG_SOAK_SECONDS if name == IN_SOAK else 1.0
        play.rollout = fleet.rollout(GOOD, name, soak=soak, lease=SHORT_LEASE_SECONDS if short else 60.0)

    def over() -> bool:
        for play in plays.values():
            play.look()
        return all(play.is_over for play in plays.values())

    wait("all attempts end", over, 120, lambda: str({name: play.host.told(1) for name, play in plays.items()}))
    plays[AWAY].meddler.closed = False
    fleet.wait_online()


def went_back_unproven(play: Play) -> None:
    """See that the version was not kept, and that nobody says it was its fault."""
    boot, report = play.host.boot(), play.said("ROLLED_BACK")
    assert (report.code, report.unproven) == ("LOST_CONTACT", True)
    assert (boot["current"]["version"], boot["trial"], boot["bad"]) == (FIRST, None, [])
    assert (boot["last"]["ended"], boot["last"]["reason"]) == ("rolled_back", "unproven")
    assert not play.kept_at
    assert play.host.status()["version"] == FIRST


def test_a_promote_within_the_soak_is_written_down_and_does_not_commit(plays: dict[str, Play]) -> None:
    play = plays[IN_SOAK]
    trial, kept = play.said("TRIAL"), play.said("SUCCEEDED")
    assert play.promoted_at - trial.occurred_at < LONG_SOAK_SECONDS / 2, "the Promote came within the soak"
    held = kept.occurred_at - trial.occurred_at
    assert held >= LONG_SOAK_SECONDS - JITTER_SECONDS
    assert play.kept_at - play.promoted_at >= LONG_SOAK_SECONDS / 2 - JITTER_SECONDS
    came = play.promoted_at - trial.occurred_at
    print(f"promote: came {came:.1f} s into a soak of {LONG_SOAK_SECONDS:g} s, kept after {held:.1f} s")


def test_a_lost_promote_comes_again_with_the_next_hello(plays: dict[str, Play]) -> None:
    play = plays[LOST]
    assert len(play.promotes) >= 2
    assert play.said("SUCCEEDED").running_version == GOOD
    assert play.host.boot()["current"]["version"] == GOOD


def test_a_late_promote_within_the_lease_keeps_the_version(plays: dict[str, Play]) -> None:
    play = plays[LATE]
    assert play.kept_at > play.trial_at + LATE_SECONDS
    assert play.said("SUCCEEDED").running_version == GOOD


@pytest.mark.parametrize("name", [DIGEST, ATTEMPT])
def test_a_promote_for_another_digest_or_attempt_is_dropped(plays: dict[str, Play], name: str) -> None:
    play = plays[name]
    assert play.promotes
    assert not play.promoted_at
    went_back_unproven(play)


def test_a_promote_after_the_lease_changes_nothing(plays: dict[str, Play]) -> None:
    play = plays[AFTER_LEASE]
    went_back_unproven(play)
    boot, journal = play.host.boot(), play.host.journal()
    play.meddler.late.append(stream_pb2.ConnectResponse(promote=play.promotes[0]).SerializeToString())
    play.meddler.cut()
    wait("the late Promote is said", lambda: not play.meddler.late, 20)
    pid = play.host.status()["child_pid"]
    time.sleep(1.0)
    assert (play.host.boot(), play.host.journal()) == (boot, journal)
    assert play.host.status()["child_pid"] == pid


def test_a_server_that_is_away_for_the_whole_lease_proves_nothing(plays: dict[str, Play]) -> None:
    play = plays[AWAY]
    assert not play.promotes
    went_back_unproven(play)


def test_the_server_knows_how_each_ended(plays: dict[str, Play]) -> None:
    kept = {IN_SOAK, LOST, LATE}
    for name, play in plays.items():
        place = play.fleet.place(play.rollout, name)
        state = types_pb2.AttemptState.Name(place.attempt.state).removeprefix("ATTEMPT_STATE_")
        assert (state, place.attempt.unproven) == (("SUCCEEDED", False) if name in kept else ("ROLLED_BACK", True)), (
            name
        )
        assert play.fleet.outcome(play.rollout) == ("COMPLETED" if name in kept else "HALTED")
