"""Power fails at any instant of a self-update, and again during the recovery: a complete, verified version starts.

The operations are recorded from the real code of slots and launcher, the trees that may be found come from the model in
``tests.faults.power``, and the recovery is the launcher's own. Each of the syncs that make this true is taken away in
turn: the model then has to find a counterexample.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher.errors import NothingToRunError
from fleetroll_agent.launcher.events import Arm, Beat, ChildExited, Hello, Promote, Stop, Tick
from fleetroll_agent.launcher.install import first_record
from fleetroll_agent.launcher.record import decode
from fleetroll_agent.launcher.values import Attempt, Authority, Ended, Origin, Reason, Record, SlotRef
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.version import Version
from tests.faults.power import Op, PowerDisk, Tree
from tests.faults.power_host import BOOTS, PYTHON, Fact, PowerHost, RecordedDisk, Trace, read_tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Lost = Callable[[Op, str], bool]

ATTEMPT = Attempt(Origin.SERVER, 1)
HEALTHY = Beat(healthy=True)
CONTENT = {version: f"program of {version}, all of it\n".encode() for version in ("1.0.0", "1.1.0")}
DIGESTS = {"1.0.0": "0" * 64, "1.1.0": "1" * 64}
NEW = SlotRef("1.1.0-11111111", "1.1.0", DIGESTS["1.1.0"], PYTHON, "cp311")
PROGRAM = ("entry.py", "lib/part.py")


def custom(version: str) -> ReleaseCustom:
    return ReleaseCustom(
        product="agent",
        version=Version.parse(version),
        channels=("stable",),
        platform=Platform("linux", "x86_64", "cp311"),
        git_sha="a" * 40,
        tar_sha256="b" * 64,
        tar_bytes=10240,
        manifest_sha256="c" * 64,
        file_count=2,
        entry_point="entry.py",
        protocol=1,
        migrations_required=False,
        breaking_changes=None,
        released_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def install(trace: Trace, version: str) -> str:
    """Complete a slot with the store's real code; its files come as an unpacking that synced nothing."""
    disk = RecordedDisk(trace)
    store = SlotStore(trace.root, disk)
    draft = store.begin(Version.parse(version), DIGESTS[version])
    disk.make_dir(draft / "lib")
    for name in PROGRAM:
        disk.write_file(draft / name, CONTENT[version])
    return store.complete(draft, custom(version), DIGESTS[version]).path.name


def enrol(state: Path) -> Tree:
    """Return a host that runs 1.0.0, all of it durable."""
    state.mkdir(parents=True)
    name = install(Trace(state), "1.0.0")
    first_record(str(state), name, "1.0.0", DIGESTS["1.0.0"], PYTHON, "cp311")
    return read_tree(state)


def keep(host: PowerHost) -> None:
    """1.1.0 is armed, tried, promoted and kept."""
    arm(host)
    host.tell(HEALTHY, Hello(), Promote(ATTEMPT, NEW.digest))
    host.at += 10.0
    host.tell(HEALTHY)


def arm(host: PowerHost) -> None:
    host.tell(HEALTHY, Arm(ATTEMPT, NEW, Authority.SERVER, 10.0, 60.0, obstacle=""), ChildExited("exit code 75"))


def put_back(host: PowerHost) -> None:
    """1.1.0 is armed and fails twice."""
    arm(host)
    host.tell(ChildExited("exit code 1"), ChildExited("exit code 1"))


def stop_in_trial(host: PowerHost) -> None:
    """1.1.0 is on trial when the host is shut down in an orderly way."""
    arm(host)
    host.trace.fact("SIGTERM", "")
    host.tell(HEALTHY, Stop(), ChildExited("exit code 0"))


def put_back_late(host: PowerHost) -> None:
    """1.1.0 is kept and crashes six times."""
    keep(host)
    for _crash in range(6):
        host.tell(ChildExited("exit code 1"))
        if not host.family.slot:
            host.at = host.state.restart_at
            host.tell(Tick())


SCENARIOS = {"kept": keep, "put back": put_back, "put back late": put_back_late, "stopped": stop_in_trial}


@dataclass
class Seen:
    """What the world saw before the power failed."""

    facts: list[Fact] = field(default_factory=list)

    def has(self, kind: str, value: str = "") -> bool:
        return any(fact.kind == kind and fact.value.startswith(value) for fact in self.facts)


class BrokenPromiseError(AssertionError):
    """The host broke a promise."""


def check(host: PowerHost, seen: Seen) -> None:
    """Compare what runs after a recovery, and what the record says, with what was seen before."""
    version = check_whole(host)
    record = decode((host.trace.root / "boot.json").read_bytes())
    late = record.last is not None and record.last.reason is Reason.LATE
    if seen.has("committed") and not late:
        require(record.current.digest == NEW.digest, "a committed version was lost")
    if seen.has("armed"):
        require(record.highest_server == 1, "an armed attempt may be armed again")
    if seen.has("stop"):
        require(not record.unproven, "an orderly stop counts against the version")
    elif seen.has("started", NEW.name) and not seen.has("SIGTERM"):
        require(is_known(record), "a trial that was started does not count")
    if seen.has("outcome", "rolled_back bad") or seen.has("outcome", "rolled_back late"):
        require(NEW.digest in record.bad and version == "1.0.0", "a bad version may come back")


def check_rebuilt(host: PowerHost, seen: Seen) -> None:
    """The same where the record was lost as well: the slots alone must not lead to a bad version."""
    version = check_whole(host)
    require(decode((host.trace.root / "boot.json").read_bytes()).recovered, "a rebuilt record does not say so")
    if seen.has("outcome", "rolled_back bad") or seen.has("outcome", "rolled_back late"):
        require(version == "1.0.0", "a bad version comes back when the record is lost")


def check_whole(host: PowerHost) -> str:
    """Return the version that was started, all of whose files are there."""
    slot = host.family.slot
    require(slot != "", "no version was started")
    version = slot.partition("-")[0]
    for name in PROGRAM:
        path = host.trace.root / "slots" / "agent" / slot / name
        require(path.exists() and path.read_bytes() == CONTENT[version], f"{slot} was started and {name} is not whole")
    return version


def without_record(tree: Tree) -> Tree:
    return frozenset((path, data) for path, data in tree if not path.startswith("boot.json"))


def is_known(record: Record) -> bool:
    """Tell whether the record remembers that the trial ran: kept, bad, or counted."""
    last = record.last
    if last is None or last.attempt != ATTEMPT:
        return False
    return last.ended is Ended.COMMITTED or last.reason is not Reason.UNPROVEN or last.counted


def require(held: bool, what: str) -> None:
    if not held:
        raise BrokenPromiseError(what)


class Exploration:
    """Every crash of one scenario, and of every recovery from it."""

    def __init__(self, folder: Path, lost: Lost | None = None) -> None:
        self.folder = folder
        self.lost: Lost = lost or (lambda _op, _purpose: False)
        self.states = 0
        self.rebuilt = 0
        self.again = 0
        self._known: set[tuple[Tree, tuple[Fact, ...]]] = set()

    def run(self, scenario: Callable[[PowerHost], None]) -> None:
        """Explore; raises :class:`BrokenPromiseError` at the first broken promise."""
        state = self.folder / "state"
        base = enrol(state)
        trace = Trace(state, lost=self.lost)
        install(trace, "1.1.0")
        scenario(PowerHost(state, BOOTS[0], trace).start())
        recoveries = []
        for tree, seen in self._found(base, trace, Seen()):
            self.states += 1
            recoveries.append((tree, seen, self._recover(tree, seen, BOOTS[1], check)))
        for tree, seen, _after in recoveries:
            self.rebuilt += 1
            self._recover(without_record(tree), seen, BOOTS[1], check_rebuilt)
        for tree, seen, after in recoveries:
            for second, more in self._found(tree, after, seen):
                self.again += 1
                self._recover(second, more, BOOTS[2], check)

    def _found(self, base: Tree, trace: Trace, seen: Seen) -> Iterator[tuple[Tree, Seen]]:
        """Return each tree that a crash before, between or after the events of ``trace`` may leave, once."""
        disk, facts = PowerDisk(base), list(seen.facts)
        for event in (None, *trace.events):
            if isinstance(event, Fact):
                facts.append(event)
            elif event is not None:
                disk.apply(event)
            for tree in disk.crashes():
                key = (tree, tuple(dict.fromkeys(facts)))
                if key not in self._known:
                    self._known.add(key)
                    yield tree, Seen(list(facts))

    def _recover(self, tree: Tree, seen: Seen, boot: str, judge: Callable[[PowerHost, Seen], None]) -> Trace:
        state = self.folder / "found"
        write_tree(tree, state)
        host = PowerHost(state, boot, Trace(state, lost=self.lost))
        try:
            host.start()
        except NothingToRunError as error:
            raise BrokenPromiseError(str(error)) from error
        judge(host, seen)
        return host.trace


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small trees are written."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="fleetroll-power-", dir=memory) as made:
        yield Path(made)


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_any_power_loss_a_complete_verified_version_starts(scenario: str, folder: Path) -> None:
    exploration = Exploration(folder)
    exploration.run(SCENARIOS[scenario])
    counts = f"{exploration.states} states, {exploration.rebuilt} without a record, {exploration.again} after a second"
    print(f"\npower loss, {scenario}: {counts}")
    assert exploration.states > 50
    assert exploration.again > 100


def in_new_slot(op: Op) -> bool:
    return op.path.startswith("slots/agent/") and "1.1.0" in op.path


def state_folder(purpose: str) -> Lost:
    """Lose the sync of the state folder after a write of the record for ``purpose``."""
    return lambda op, latest: op == Op("sync_dir", "") and latest == purpose


SYNCS: dict[str, tuple[str, Lost, str]] = {
    "file data in the slot": (
        "kept",
        lambda op, _purpose: op.kind == "sync" and op.path.endswith(".py"),
        "is not whole",
    ),
    "the slots directory": (
        "kept",
        lambda op, _purpose: op == Op("sync_dir", "slots/agent"),
        "a committed version was lost",
    ),
    "the directory after tries - 1": ("kept", state_folder("try"), "was started does not count"),
    "the directory after the commit": ("kept", state_folder("commit"), "a committed version was lost"),
    "the directory after arming": ("kept", state_folder("arm"), "may be armed again"),
    "the directory after the way back": ("put back", state_folder("back"), "a bad version may come back"),
    "the directory after an orderly stop": ("stopped", state_folder("stop"), "an orderly stop counts"),
    "the record's data": ("kept", lambda op, _purpose: op == Op("sync", "boot.json.new"), "may be armed again"),
    "the names in the slot": ("kept", lambda op, _purpose: op.kind == "sync_dir" and in_new_slot(op), "is not whole"),
    "the slot's directory when GOOD is taken away": (
        "put back late",
        lambda op, purpose: op == Op("sync_dir", f"slots/agent/{NEW.name}") and purpose == "note",
        "when the record is lost",
    ),
}


@pytest.mark.crash
@pytest.mark.parametrize("sync", SYNCS)
def test_without_one_of_the_syncs_a_counterexample_is_found(sync: str, folder: Path) -> None:
    scenario, lost, promise = SYNCS[sync]
    exploration = Exploration(folder, lost)
    with pytest.raises(BrokenPromiseError, match=promise) as broken:
        exploration.run(SCENARIOS[scenario])
    states = exploration.states + exploration.rebuilt + exploration.again
    print(f"\nwithout {sync}: after {states} states: {broken.value}")
