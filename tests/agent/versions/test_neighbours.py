"""The agent that landed last, on what this one writes: a way back of the agent itself finds what it can read.

It is the real program of that version, kept as a file (:mod:`.freeze`), in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_agent.identity.facts import KeptAnchors, KeptRotation
from fleetroll_agent.jobs.effects import AskLock, FillSlot, FindTarget, Probe
from fleetroll_agent.jobs.events import (
    Assigned,
    Leaving,
    LockGiven,
    SessionClosed,
    SessionOpened,
    SlotReady,
    StartedLocally,
    StepStarted,
    TargetFound,
)
from fleetroll_agent.jobs.failures import Failure
from fleetroll_agent.jobs.journal import Journal, read_journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import ProductRecord, Step
from fleetroll_agent.jobs.work import Ban
from fleetroll_agent.schedule.contact import Contact, ContactFile
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.anchors import Anchors, SignedAnchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.ids import SequentialIds
from fleetroll_server.certificates import make_ca
from tests.agent.versions import freeze, previous, samples
from tests.faults.identity_disk import CA_PEM
from tests.faults.jobs import NEW, OLD
from tests.faults.managed_host import CHILD, COMMAND, MIGRATING, PLAIN, SLOTS, ManagedHost

ROTATION = KeptRotation(b"o" * 32, b"n" * 32, b"s" * 64, b"t" * 64)

if TYPE_CHECKING:
    from pathlib import Path

FRESH = {
    "suspended": ("global",),
    "failures": (Failure("1.2.0", 2, 900.5, 1, permanent=True),),
    "committed_at": 990.5,
    "floor": "0.9.0",
    "policy_floor": "1.0.5",
    "revoked": (Ban("d" * 64, "not ours"),),
}
"""What the previous version does not know of a record."""
BY_ITSELF = StartedLocally("1.1.0", "local schedule", source="/media/bundle", automatic=True, soak_seconds=6)
PERSONS = StartedLocally("1.1.0", "root", source="/media/bundle", soak_seconds=6, hold_seconds=60)
RECIPES = {"slots": SLOTS, "command": COMMAND}


def told(does: str, state: Path, *more: str) -> Any:
    """Let the previous agent do something on a state folder; return what it said."""
    environ = {**os.environ, "PYTHONPATH": str(freeze.KEPT)}
    command = [sys.executable, "-m", "tests.agent.versions.previous", does, str(state), *more]
    done = subprocess.run(command, cwd=freeze.ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["from"].startswith(str(freeze.KEPT)), "that was this version"
    return said["said"]


def written(state: Path, record: ProductRecord) -> Path:
    """Return the state folder with what this version writes of a product."""
    ProductFile(state, samples.PRODUCT).write(record)
    return state


def lived(state: Path, record: ProductRecord, kind: str = "slots") -> Any:
    """Let the previous agent go on with what this version wrote."""
    said = told("live", written(state, record), kind, ".")["."]
    assert said["damaged"] is False
    return said


def on_disk(state: Path) -> dict[str, Any]:
    return load_record((state / "products" / f"{samples.PRODUCT}.json").read_bytes())


def test_the_samples_leave_no_field_out() -> None:
    record = samples.record(**FRESH)
    attempt = record.attempt
    assert attempt is not None
    assert attempt.work is not None
    assert attempt.about is not None
    parts: list[Any] = [record, attempt, attempt.work, attempt.about]
    for value in (*parts, *record.outcomes, *record.outbox, *record.failures, *record.revoked):
        optional = [each for each in fields(value) if each.default is not MISSING]
        unset = [each.name for each in optional if getattr(value, each.name) == each.default]
        assert set(unset) <= {"product"}, f"{type(value).__name__}: {unset}"


def test_this_version_reads_what_the_previous_one_wrote_with_the_same_meaning(tmp_path: Path) -> None:
    (tmp_path / "given.pem").write_bytes(CA_PEM)
    said = told("write", tmp_path)
    record = ProductFile(tmp_path, samples.PRODUCT).read()
    understood = samples.plain(record)
    assert understood == grown(said["fields"], understood)
    assert (record.suspended, record.failures) == ((), ())
    (entry,) = read_journal(tmp_path / "journal")
    assert samples.plain(entry.report) == said["fields"]["outbox"][0]
    assert Journal(tmp_path / "journal", SequentialIds()).number(samples.PRODUCT) == record.reports
    identity = samples.plain(previous.identity_of(tmp_path).load())
    assert identity == grown(said["identity"], identity)
    assert identity["anchors"] is None
    assert identity["rotations"] == []


def grown(before: Any, now: Any) -> Any:
    """Return ``before`` with the fields that came since, as they are ``now``."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {**now, **{name: grown(value, now.get(name)) for name, value in before.items()}}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [grown(*pair) for pair in zip(before, now, strict=True)]
    return before


def test_the_previous_version_reads_what_this_one_writes_and_keeps_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "given.pem").write_bytes(CA_PEM)
    record = samples.record(**FRESH)
    previous.write(tmp_path)
    written(tmp_path, record)
    ContactFile(tmp_path).write(Contact("boot-1", 1000.5, 60.0, quarantined=True))
    ca = make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate
    anchors = Anchors(certificates=(ca.decode("ascii"),), **samples.ANCHORS)
    store = previous.identity_of(tmp_path)
    store.take_anchors(SignedAnchors(anchors, "keys"))
    before, identity = on_disk(tmp_path), store.keep_rotation(store.load(), ROTATION)
    said = told("read", tmp_path)
    assert said["damaged"] == []
    assert samples.plain(record) == grown(said["record"], samples.plain(record))
    assert said["entries"] == samples.plain(record.outbox)
    assert on_disk(tmp_path) == {**before, "attempt": said["record"]["attempt"], "waiting": said["record"]["waiting"]}
    after = ProductFile(tmp_path, samples.PRODUCT).read()
    assert (after.suspended, after.failures) == (record.suspended, record.failures)
    # Both go on with one journal and one identity.
    assert said["journal_id"] == Journal(tmp_path / "journal", SequentialIds()).journal_id
    assert [entry.report.number for entry in read_journal(tmp_path / "journal")] == [12, 13]
    assert samples.plain(identity) == grown(said["identity"], samples.plain(identity))
    # It goes where the anchors lead, and trusts whom they name, although it knows nothing of anchors.
    assert said["identity"]["enrolment"]["addresses"] == ["c:3", "b:2", "a:1"]
    assert said["identity"]["enrolment"]["ca_pem"] == ca.hex()
    again = previous.identity_of(tmp_path).load()
    assert again.anchors == KeptAnchors(anchors, ("a:1",), "keys")
    assert previous.identity_of(tmp_path).load().rotations == (ROTATION,)
    assert previous.identity_of(tmp_path).load().ratchet.current == identity.ratchet.next
    assert ContactFile(tmp_path).read() == Contact("boot-1", 1000.5, 60.0, quarantined=True)


def test_a_code_that_the_previous_version_does_not_know_costs_the_code_alone(tmp_path: Path) -> None:
    reports = [replace(samples.record().outbox[0], number=n, code=code) for n, code in enumerate(Code, start=1)]
    (tmp_path / "given.pem").write_bytes(CA_PEM)
    previous.write(tmp_path)
    Journal(tmp_path / "other", SequentialIds()).append(samples.PRODUCT, reports)
    (tmp_path / "journal").rename(tmp_path / "its")
    (tmp_path / "other").rename(tmp_path / "journal")
    written(tmp_path, samples.record(outcomes=(replace(samples.record().outcomes[0], code=Code.CHECK_IN),)))
    said = told("read", tmp_path)
    assert said["damaged"] == []
    assert [entry["number"] for entry in said["entries"]] == [report.number for report in reports]
    lost = [report.code for report, entry in zip(reports, said["entries"], strict=True) if entry["code"] is None]
    assert Code.CHECK_IN in lost
    (outcome,) = said["record"]["outcomes"]
    assert (outcome["said"], outcome["code"]) == ("ROLLED_BACK", None)


def paused_after(kind: str, step: Step | None) -> ManagedHost:
    """Return a host whose agent was asked to end while ``step`` ran, and ended behind it."""
    host = ManagedHost.begin(RECIPES[kind])
    host.to_go()
    host.up_to(step or Step.CHECK)
    host.tell(Leaving())
    host.ends()
    return host


@pytest.mark.parametrize("kind", RECIPES)
def test_an_attempt_that_an_orderly_end_left_between_two_steps_ends_by_a_way_that_keeps_the_data(
    tmp_path: Path, kind: str
) -> None:
    steps = [step for step in RECIPES[kind].steps(MIGRATING) if step is not Step.HEALTH]
    hosts = [paused_after(kind, step) for step in steps]
    for step, host in zip(steps, hosts, strict=True):
        (tmp_path / step.value).mkdir()
        written(tmp_path / step.value, host.disk)
    said = told("live", tmp_path, kind, *(step.value for step in steps))
    for step, host in zip(steps, hosts, strict=True):
        check_end(said[step.value], host, step, kind)


def check_end(said: Any, host: ManagedHost, step: Step, kind: str) -> None:
    """Judge how the previous version ended what stood behind ``step``."""
    record, done, work = said["record"], said["done"], host.attempt.work
    assert work is not None
    assert (host.attempt.step, work.paused, said["damaged"]) == (step, True, False)
    assert (record["attempt"], record["highest"], record["bad"]) == (None, 7, [])
    (outcome,) = record["outcomes"]
    if step in (Step.CHECK, Step.RESTART) or (step is Step.SWITCH and kind == "slots"):
        # What may be run again is: it goes on, and its own look proves the version.
        assert outcome["said"] == "SUCCEEDED"
        assert "Probe health" in done
        assert (record["current"]["version"], record["previous"]["version"]) == ("1.1.0", "1.0.0")
        return
    assert (outcome["said"], outcome["unproven"]) == ("ROLLED_BACK" if work.changed else "FAILED", True)
    assert record["current"] == samples.plain(host.disk.current)
    assert ("RunStep restore" in done) is work.migrated
    assert ("Probe health_back" in done) is work.changed
    assert "Probe health" not in done


def test_the_process_of_a_look_is_ended_before_the_soak_begins_anew(tmp_path: Path) -> None:
    host = ManagedHost.begin()
    host.to_go()
    host.up_to(Step.HEALTH)
    host.tell(StepStarted(host.last(Probe).job, CHILD))
    said = lived(tmp_path, host.disk)
    assert said["done"].index("EndChild") < said["done"].index("Probe health")
    assert said["record"]["outcomes"][-1]["said"] == "SUCCEEDED"


def staged(host: ManagedHost, wish: StartedLocally) -> ManagedHost:
    """Let the host hold what was started there, up to its asking for the lock."""
    host.tell(wish)
    host.tell(TargetFound(host.last(FindTarget).job, NEW, PLAIN))
    host.tell(SlotReady(host.last(FillSlot).job))
    return host


def assigned(host: ManagedHost) -> ManagedHost:
    """Let the server assign something, and go."""
    host.tell(SessionOpened(1), Assigned(7, "1.3.0", 6, 60), SessionClosed(1))
    return host


def test_what_the_host_started_by_itself_is_not_begun_as_if_a_person_had(tmp_path: Path) -> None:
    for number, host in enumerate((ManagedHost.begin(), staged(ManagedHost.begin(), BY_ITSELF))):
        if number == 0:
            host.tell(BY_ITSELF)
        state = tmp_path / str(number)
        state.mkdir()
        said = lived(state, host.disk)
        assert not {"FindTarget", "AskLock"} & {words.partition(" ")[0] for words in said["done"]}
        assert (said["record"]["attempt"], said["record"]["locals"]) == (None, 1)
        # Nothing happened meanwhile: this version goes on with it.
        assert ProductFile(state, samples.PRODUCT).read() == host.disk


def test_what_a_person_started_goes_on(tmp_path: Path) -> None:
    said = lived(tmp_path, staged(ManagedHost.begin(), PERSONS).disk)
    assert "AskLock" in said["done"]
    assert said["record"]["outcomes"][-1]["said"] == "SUCCEEDED"


def test_what_the_server_assigned_goes_on_when_the_hosts_own_attempt_had_made_it_wait(tmp_path: Path) -> None:
    host = staged(assigned(ManagedHost.begin()), BY_ITSELF)
    assert (host.disk.attempt.local, host.disk.waiting.generation) == (1, 7)
    said = lived(tmp_path, host.disk)
    assert (said["record"]["attempt"]["generation"], said["record"]["waiting"]) == (7, None)
    assert "FindTarget" in {words.partition(" ")[0] for words in said["done"]}


def test_the_hosts_own_attempt_is_over_when_another_version_went_on_meanwhile(tmp_path: Path) -> None:
    host = staged(assigned(ManagedHost.begin()), BY_ITSELF)
    state = written(tmp_path, host.disk)
    document = on_disk(state)
    (state / "products" / "shop.json").write_bytes(dump_record({**document, "reports": document["reports"] + 1}))
    record = ProductFile(state, samples.PRODUCT).read()
    assert (record.attempt.generation, record.waiting, record.locals) == (7, None, 1)
    ProductFile(state, samples.PRODUCT).write(record)
    assert on_disk(state)["by_host"] is None


def test_the_hosts_own_attempt_that_changes_the_host_already_ends_by_its_rules_and_leaves_no_hold(
    tmp_path: Path,
) -> None:
    host = staged(ManagedHost.begin(), BY_ITSELF)
    host.tell(LockGiven(host.last(AskLock).ask))
    host.up_to(Step.RESTART)
    said = lived(tmp_path, host.disk)
    record = said["record"]
    assert [outcome["said"] for outcome in record["outcomes"]] == ["SUCCEEDED"]
    assert (record["current"]["version"], record["current"]["sha256"]) == ("1.1.0", NEW)
    assert (record["previous"]["sha256"], record["override"]) == (OLD, None)
