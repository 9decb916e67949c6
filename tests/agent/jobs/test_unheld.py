"""Results that nobody acknowledges: bounded, and never lost where they are the server's."""

from __future__ import annotations

from dataclasses import replace

from fleetroll_agent.jobs.assigning import why_refused
from fleetroll_agent.jobs.effects import FindTarget
from fleetroll_agent.jobs.events import Acked, Assigned, SessionOpened, StagingFailed, StartedLocally
from fleetroll_agent.jobs.record import record_json
from fleetroll_agent.jobs.values import (
    MAX_MESSAGE_CHARS,
    MAX_OUTCOMES,
    MAX_UNHELD,
    Outcome,
    ProductRecord,
    Said,
)
from fleetroll_agent.reading.files import RECORD_BYTES
from fleetroll_common.durable import dump_record
from fleetroll_common.values.codes import Code
from tests.faults.jobs import Host

DAY = 86_400.0


def fails_alone(host: Host) -> None:
    """Let a local attempt fail."""
    host.tell(StartedLocally("1.1.0", "root", source="/media/bundle"))
    host.tell(StagingFailed(host.last(FindTarget).job, Code.UNAVAILABLE, "away"))


def fails_assigned(host: Host, generation: int) -> None:
    host.tell(Assigned(generation, "1.1.0"))
    host.tell(StagingFailed(host.last(FindTarget).job, Code.WRONG_HASH, "other bytes", session=1))


def test_a_host_that_is_alone_for_years_keeps_so_many_of_its_own_ends() -> None:
    host = Host.start()
    for _ in range(MAX_OUTCOMES + 30):
        host.at += DAY
        fails_alone(host)
    assert len(host.disk.outcomes) == MAX_OUTCOMES
    assert host.disk.outcomes[-1].local == MAX_OUTCOMES + 30
    assert len([told for told in host.journal if told.said is Said.FAILED]) == MAX_OUTCOMES + 30, "the journal has all"


def test_what_was_acknowledged_goes_first_then_the_hosts_own_and_the_servers_stays() -> None:
    host = Host.start()
    host.tell(SessionOpened(1))
    for generation in range(1, 51):
        fails_assigned(host, generation)
    host.tell(Acked(host.journal[-1].number))
    for generation in range(51, 101):
        fails_assigned(host, generation)
    for _ in range(MAX_OUTCOMES - 60):
        fails_alone(host)
    outcomes = host.disk.outcomes
    assert len(outcomes) == MAX_OUTCOMES
    assert sum(known.acked_at is not None for known in outcomes) == 10
    assert sum(not known.local and known.acked_at is None for known in outcomes) == 50
    for _ in range(MAX_OUTCOMES):
        fails_alone(host)
    kept = [known.generation for known in host.disk.outcomes if not known.local]
    assert kept == list(range(51, 101))
    assert len(host.disk.outcomes) == MAX_OUTCOMES


def test_a_server_that_acknowledges_nothing_is_taken_no_assignment_of_any_more() -> None:
    """Nothing is lost, the record stays small, and what is to end can still be ended."""
    held = tuple(
        Outcome(n, n, "1.1.0", Said.FAILED, "b" * 64, Code.WRONG_HASH, "\x00" * MAX_MESSAGE_CHARS, "1.0.0")
        for n in range(1, MAX_UNHELD + 1)
    )
    record = ProductRecord(highest=MAX_UNHELD, outcomes=held, reports=MAX_UNHELD)
    assert len(dump_record(record_json(record))) < RECORD_BYTES
    host = Host.start(record)
    host.tell(SessionOpened(1))
    assert "has not acknowledged 1000 results" in why_refused(host.disk, Assigned(MAX_UNHELD + 1, "1.1.0"))
    host.tell(Assigned(MAX_UNHELD + 1, "1.1.0"))
    assert (host.attempt, host.disk.highest, len(host.disk.outcomes)) == (None, MAX_UNHELD, MAX_UNHELD)
    host.tell(Assigned(MAX_UNHELD + 1, ""))
    assert host.disk.highest == MAX_UNHELD + 1
    host.tell(Acked(1), Assigned(MAX_UNHELD + 2, "1.1.0"))
    assert host.attempt.generation == MAX_UNHELD + 2


def test_the_newest_end_is_always_there() -> None:
    """Whoever waits for it at the command line finds it."""
    held = tuple(Outcome(n, n, "1.1.0", Said.FAILED) for n in range(1, MAX_UNHELD + 1))
    host = Host.start(replace(ProductRecord(), outcomes=held, reports=MAX_UNHELD, highest=MAX_UNHELD))
    fails_alone(host)
    fails_alone(host)
    assert [known.local for known in host.disk.outcomes if known.local] == [2]
