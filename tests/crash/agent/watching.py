"""What somebody sees who looks at the host at every moment: what a launcher would start, and what was started."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.limits import TRIES
from fleetroll_agent.launcher.main import load
from tests.crash.agent.launching import OnePython
from tests.crash.agent.releases import release
from tests.crash.products.promises import BrokenPromiseError, require
from tests.crash.products.releases import ENTRY, OLD, digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.launcher.values import Record, SlotRef
    from tests.crash.agent.upstream import KeepingServer


@lru_cache(8)
def _loaded(state: str, _record: bytes | None, _replacement: bytes | None) -> Record:
    """Return the record that a launcher would go by; it reads the same files, so the same bytes mean the same."""
    return load(state, OnePython()).record


_CHANGES = frozenset({"rename", "unlink", "remove_dir", "write_file"})


class Watch:
    """Looks after every change of the launcher's record and of the slots."""

    def __init__(self, state: Path, server: KeepingServer) -> None:
        """Look at the host in ``state``, which runs the old version."""
        self._state = str(state)
        self._server = server
        self._kept, self._slot = digest_of(OLD), f"{OLD}-{digest_of(OLD)[:8]}"
        """What was kept, as somebody was told or saw it started, and its slot."""
        self._changed = True
        self.starts: Counter[str] = Counter()
        """How often each attempt's version was started on trial."""

    @property
    def kept(self) -> str:
        """The digest of what was kept."""
        return self._kept

    def done(self, kind: str, *args: object) -> None:
        """Take note of an effect."""
        if kind in _CHANGES:
            path = str(args[-1] if kind == "rename" else args[0])
            self._changed = self._changed or "/slots/" in path or "/boot.json" in path

    def look(self) -> None:
        """Require that a launcher that starts now has a complete version to start, and keeps what was kept."""
        if not self._changed:
            return
        self._changed = False
        try:
            record = _loaded(self._state, *self._files())
        except LauncherError as error:
            raise BrokenPromiseError(f"a launcher that starts now has nothing to start: {error}") from error
        self._require_whole(record.current)
        self._require_promoted(record)

    def keep(self, record: Record) -> None:
        """Take note that the version at hand is kept: from now on it stays."""
        self._require_promoted(record)
        self._kept, self._slot = record.current.digest, record.current.name

    def started(self, slot: str, record: Record) -> None:
        """Require that what is started is what was kept, or a trial that the record on disk has, within its budget."""
        trial = record.trial
        if slot == record.current.name:
            self.keep(record)
        if slot == self._slot:
            return
        if trial is None or slot != trial.slot.name:
            raise BrokenPromiseError(f"{slot} is started, and no record says so")
        self._require_whole(trial.slot)
        self.starts[str(trial.attempt)] += 1
        count = self.starts[str(trial.attempt)]
        require(count <= TRIES, f"{trial.attempt} is started {count} times")
        require(trial.starts >= count, f"start {count} of {trial.attempt} is not written down")

    def _files(self) -> tuple[bytes | None, bytes | None]:
        path = files.record_path(self._state)
        return files.read_small(path), files.read_small(f"{path}.new")

    def _require_whole(self, slot: SlotRef) -> None:
        facts = files.read_slot(self._state, slot.name)
        require(facts is not None and facts.digest == slot.digest, f"{slot.name} can't be started")
        with open(f"{files.slot_path(self._state, slot.name)}/{ENTRY}", "rb") as program:  # noqa: PTH123 (many looks)
            require(program.read() == release(slot.version).program, f"{slot.name} is not whole")

    def _require_promoted(self, record: Record) -> None:
        """A version is kept by the server's word for exactly this attempt; what was kept before it is kept for good."""
        attempt, digest = record.current.attempt, record.current.digest
        if digest != self._kept:
            promoted = attempt is not None and (attempt.generation, digest) in self._server.promoted
            require(promoted, f"{record.current.version} is kept, and nobody promoted it")
