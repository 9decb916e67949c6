"""What the hosts themselves wrote down: which of them was given a Go, used it, and what each runs."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from fleetroll_common.durable import DamagedRecord, load_record
from tools.demo.sources import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_STEP = "self_test"
"""The first step after Go: a host writes it down before it begins."""
GO_RECEIVED = "go_received"
"""The event of the agent's log when a Go arrives, whether it is used or void."""


def hosts_past_go(hosts: Path, sha256: str) -> list[str]:
    """Return the hosts whose own journal says that they began to apply the artefact, by name, once per use."""
    return [
        host.name
        for host in sorted(hosts.iterdir())
        for report in _reports(host / "journal")
        if report["said"] == "APPLYING" and report["step"] == FIRST_STEP and report["sha256"] == sha256
    ]


def hosts_given_go(hosts: Path, sha256: str) -> list[str]:
    """Return the hosts whose own log says that a Go for the artefact came, by name, once per message.

    A Go names only a generation; which artefact that is stands in the same host's journal.

    Raises:
        DemoError: a Go came for a generation that the journal does not know.
    """
    return [
        host.name
        for host in sorted(hosts.iterdir())
        for generation in _received(host)
        if _artefact(host, generation) == sha256
    ]


def running_artefacts(hosts: Path) -> dict[str, tuple[str, str]]:
    """Return version and digest of what each host's boot record names as current, by name.

    Raises:
        DemoError: a record can't be read, or a trial is open in it: then it is not settled what the host runs.
    """
    found: dict[str, tuple[str, str]] = {}
    for host in sorted(hosts.iterdir()):
        path = host / "boot.json"
        try:
            record = load_record(path.read_bytes())
            found[host.name] = (record["current"]["version"], record["current"]["digest"])
        except (OSError, DamagedRecord, KeyError) as error:
            raise DemoError(f"{path}: can't be read: {error}") from error
        if record.get("trial") is not None:
            raise DemoError(f"{path}: a trial is open")
    return found


def slots_of(host: Path) -> list[str]:
    """Return the versions that a host has slots of, sorted: everything that it ever installed and did not prune."""
    return sorted(slot.name.rpartition("-")[0] for slot in (host / "slots" / "agent").iterdir() if slot.is_dir())


def last_word(output: str) -> str:
    """Return the last line that says something; of a line of the log, which is JSON, its event."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return ""
    entry = _entry(lines[-1])
    return str(entry.get("event") or lines[-1])


def _received(host: Path) -> Iterator[int]:
    """Yield the generation of every Go that came, in order."""
    for path in (host / "agent.log.1", host / "agent.log"):
        for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
            entry = _entry(line)
            if entry.get("event") == GO_RECEIVED:
                yield int(entry["generation"])


def _artefact(host: Path, generation: int) -> str:
    """Return the digest that a generation stands for."""
    for report in _reports(host / "journal"):
        if report["generation"] == generation and report["sha256"]:
            return str(report["sha256"])
    raise DemoError(f"{host.name}: a Go came for generation {generation}, which its journal does not know")


def _entry(line: str) -> dict[str, Any]:
    """Return a line of the log as an object; empty for what a program printed in another form."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _reports(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the reports of one host in order.

    Raises:
        DemoError: a line is damaged.
    """
    for segment in sorted(journal.glob("*.log")):
        for line in segment.read_bytes().splitlines():
            crc, _, body = line.partition(b" ")
            if int(crc, 16) != zlib.crc32(body):
                raise DemoError(f"{segment}: a line is damaged")
            yield json.loads(body)["report"]
