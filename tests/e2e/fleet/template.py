"""A fleet that is made once and copied for each test that needs one: initialised, published, enrolled, stopped."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.init import InitRequest, initialise
from tests.e2e.fleet.fleet import Fleet
from tests.e2e.fleet.processes import AGENT, run
from tests.e2e.fleet.releases import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.fleet.host import Host

FIRST = "1.0.0"


class Template:
    """A stopped fleet.

    Attributes:
        before: the repository's signed files when 1.0.0 was the only release.
        artefacts: by version.
    """

    def __init__(self, folder: Path, hosts: Sequence[str], versions: Sequence[str]) -> None:
        """Make it: hosts are enrolled when 1.0.0 is the newest release, then ``versions`` are published."""
        self._folder = folder
        self.artefacts: dict[str, Path] = {}
        workshop = Workshop(folder / "workshop")
        fleet = Fleet(folder)
        initialise(InitRequest(fleet.data.path, folder / "root-keys"), SystemClock(), SystemIds())
        try:
            with ThreadPoolExecutor(1) as builder:
                built = {version: builder.submit(workshop.build, version) for version in (FIRST, *versions)}
                fleet.start_server()
                self._publish(fleet, FIRST, built[FIRST].result())
                self._enroll(fleet, hosts)
                self.before = fleet.records.metadata()
                for version in versions:
                    self._publish(fleet, version, built[version].result())
            fleet.stop_server()
        finally:
            fleet.end()

    @classmethod
    def shared(cls, own: Path, hosts: Sequence[str], versions: Sequence[str]) -> Self:
        """Return the one of this run: the test process that comes first makes it, the others wait for it.

        Args:
            own: the folder of this test process.
            hosts: as for :class:`Template`; all processes name the same.
            versions: likewise.
        """
        room = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
        kept = room / "template.made"
        with (room / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                folder = room / "template"
                folder.mkdir()
                kept.write_bytes(pickle.dumps(cls(folder, hosts, versions)))
            made: Self = pickle.loads(kept.read_bytes())  # noqa: S301 (this run wrote it)
        return made

    def copy(self, folder: Path, *hosts: str) -> Fleet:
        """Return a stopped fleet of its own in ``folder`` with copies of ``hosts``."""
        fleet = Fleet(folder)
        shutil.copytree(self._folder / "data", fleet.data.path, copy_function=_link_large)
        for name in hosts:
            copied = folder / "hosts" / name
            shutil.copytree(self._folder / "hosts" / name, copied, copy_function=_link_large)
            fleet.add_host(name).aim(fleet.address)
        return fleet

    def _publish(self, fleet: Fleet, version: str, artefact: Path) -> None:
        self.artefacts[version] = artefact
        done = fleet.cli("release", "publish", str(artefact))
        assert done.code == 0, done.said

    def _enroll(self, fleet: Fleet, names: Sequence[str]) -> None:
        """Enrol the first host as people do; the others find the slot there that the first one unpacked."""
        join = fleet.join_string(len(names))
        first = fleet.add_host(names[0])
        _enroll(first, join)
        others = [fleet.add_host(name) for name in names[1:]]
        for host in others:
            shutil.copytree(first.state / "slots", host.state / "slots", copy_function=_link_large)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda host: _enroll(host, join), others))


def _enroll(host: Host, join: str) -> None:
    """Run ``fleetroll-agent enroll``."""
    done = run(*AGENT, "enroll", join, "--state", str(host.state), "--name", host.name)
    assert done.code == 0, done.said


def _link_large(source: str, target: str) -> None:
    """Share what nobody writes to: files of slots and artefacts. All else is copied."""
    parts = Path(source).parts
    if "slots" in parts or "artefacts" in parts:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
