"""The previous agent's program on one state folder: it stands first on the path of this process.

    python -m tests.agent.versions.previous read|write <state folder>
    python -m tests.agent.versions.previous live <folder> slots|command <state folder below it>...

``write`` leaves what it writes itself, ``read`` tells what it understood, ``live`` goes on with the product of each
state folder: every step succeeds, nobody stops it, and a server comes late that says nothing. What it says is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fleetroll_agent
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs import effects, events, machine
from fleetroll_agent.jobs.journal import Journal, find_damage, read_journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.state import Running
from fleetroll_agent.jobs.values import Moment, ProductRecord, Report, Step
from fleetroll_agent.products.pipeline import Pipeline
from fleetroll_agent.products.recipe import Recipe
from fleetroll_agent.settings.product import Kind
from fleetroll_common.values.ids import SequentialIds
from tests.agent.versions import samples

HOOKS = {
    "slots": (Step.CHECK, Step.BACKUP, Step.MIGRATE, Step.SMOKE, Step.RESTART, Step.RESTORE),
    "command": (Step.BACKUP, Step.PULL, Step.MIGRATE, Step.SMOKE, Step.SWITCH, Step.ROLLBACK, Step.RESTORE),
}
MOST = 60
"""Timers without an answer: a minute each; more than a soak, and a person's patience."""


def identity_of(state: Path) -> IdentityStore:
    """Return the identity below a state folder."""
    return IdentityStore(state / "identity", SequentialIds())


def write(state: Path) -> Any:
    """Leave a product, a journal and an identity."""
    record = samples.record()
    ProductFile(state, samples.PRODUCT).write(record)
    journal = Journal(state / "journal", SequentialIds())
    journal.append(samples.PRODUCT, record.outbox)
    store = identity_of(state)
    store.candidate()
    identity = store.enrol(samples.answer((state / "given.pem").read_bytes()))
    store.welcomed(identity, identity.ratchet.next, samples.RECEIPT)
    return {"fields": samples.plain(record), "identity": samples.plain(store.peek())}


def read(state: Path) -> Any:
    """Tell what is understood, and write it all again."""
    file = ProductFile(state, samples.PRODUCT)
    record = file.read()
    file.write(record)
    damage = find_damage(state / "journal")
    entries = [samples.plain(entry.report) for entry in read_journal(state / "journal")]
    journal = Journal(state / "journal", SequentialIds())
    journal.append(samples.PRODUCT, [samples.known(Report, {**samples.REPORT, "number": record.reports + 1})])
    store = identity_of(state)
    identity = store.load()
    store.welcomed(identity, identity.ratchet.next, samples.RECEIPT)
    return {
        "damaged": file.damaged or list(damage),
        "record": samples.plain(record),
        "entries": entries,
        "journal_id": journal.journal_id,
        "identity": samples.plain(identity),
    }


def live(folder: Path, kind: str, *names: str) -> Any:
    """Go on with the product until nothing more happens by itself; leave what is then on the disk."""
    return {name: _lived(folder / name, kind) for name in names}


def _lived(state: Path, kind: str) -> Any:
    file = ProductFile(state, samples.PRODUCT)
    life = Life(file.read(), kind)
    record = life.run()
    file.write(record)
    return {"damaged": file.damaged, "done": life.done, "record": samples.plain(record)}


class Life:
    """The machine on a host on which all goes well."""

    def __init__(self, record: ProductRecord, kind: str) -> None:
        """Begin on ``record``, as a process that starts."""
        current = record.current
        running = Running("", "") if current is None else Running(current.version, current.sha256)
        self._at = 5000.0
        self._course = Pipeline(Recipe(samples.PRODUCT, Kind(kind), frozenset(HOOKS[kind])))
        self._state, self._due = machine.begin(record, None, running, self._moment(), course=self._course)
        self.done: list[str] = []

    def run(self) -> ProductRecord:
        """Return the record after it all."""
        waited = 0
        while waited < MOST:
            if self._due:
                effect, self._due = self._due[0], self._due[1:]
                event = self._does(effect)
                if event is None:
                    continue
            else:
                waited, event = waited + 1, events.SessionOpened(1) if waited == MOST // 2 else events.Timer()
                self._at += 60.0
            self._state, more = machine.step(self._state, event, self._moment())
            self._due = (*self._due, *more)
        return self._state.record

    def _does(self, effect: Any) -> Any:
        name = type(effect).__name__
        attempt: Any = getattr(effect, "attempt", None)
        step: Any = getattr(attempt, "step", None)
        self.done.append(name if step is None else f"{name} {step.value}")
        if isinstance(effect, effects.EndChild):
            return events.ChildGone(effect.job, gone=True)
        if isinstance(effect, effects.RunStep):
            said = {Step.CHECK: attempt.version, Step.BACKUP: "backup-2"}.get(step, "")
            return events.StepEnded(effect.job, value=said)
        if isinstance(effect, effects.Probe):
            version = attempt.work.from_version if step is Step.HEALTH_BACK else attempt.version
            return events.Probed(effect.job, healthy=True, message="", version=version)
        return events.LockGiven(effect.ask) if isinstance(effect, effects.AskLock) else None

    def _moment(self) -> Moment:
        return Moment(self._at, self._at, 1e9 + self._at, 0.5)


if __name__ == "__main__":
    does: dict[str, Any] = {"write": write, "read": read, "live": live}
    print(json.dumps({"from": fleetroll_agent.__file__, "said": does[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])}))
