"""Checks of what was written down: the launcher's record, the products', the journal, how far the repository was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.jobs.journal import find_damage
from fleetroll_agent.launcher.files import RECORD_NAME
from fleetroll_agent.reading.files import RECORD_BYTES, read_plain
from fleetroll_common.durable import DamagedRecord, load_record
from fleetroll_common.trust.floor import FLOOR_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host


def boot(host: Host) -> Iterator[Finding]:
    """Tell when the launcher's record can't be believed."""
    if host.boot_fault:
        remedy = "restart the service: the launcher goes on with its replacement, or with the newest kept slot"
        yield Finding(Sign.BOOT_RECORD_DAMAGED, RECORD_NAME, host.boot_fault, remedy)


def products(host: Host) -> Iterator[Finding]:
    """Tell which product's record can't be believed."""
    for kept in host.products:
        if kept.fault:
            remedy = "look at the disk; the agent goes on with an empty record, and learns the rest from its server"
            if kept.product.kind.value != "agent":
                remedy += f". What is installed is known again after: fleetroll-agent update {kept.name} --version V"
            yield Finding(Sign.RECORD_DAMAGED, kept.name, kept.fault, remedy)


def journal(host: Host) -> Iterator[Finding]:
    """Tell when the journal would be set aside at the next start."""
    for said in find_damage(host.folder / "journal"):
        remedy = "look at the disk; at its next start the agent puts it aside and begins a new one, and loses no result"
        yield Finding(Sign.JOURNAL_DAMAGED, "journal", said, remedy)


def trust(host: Host) -> Iterator[Finding]:
    """Tell when this host has forgotten how new the repository was: then it refuses every update."""
    folder = host.folder / "trust"
    try:
        data = read_plain(folder / FLOOR_NAME, RECORD_BYTES)
        lost = data is None and folder.is_dir() and any(folder.iterdir())
        why = f"{FLOOR_NAME} is lost" if lost else ""
        if data is not None:
            load_record(data)
    except DamagedRecord:
        why = f"{FLOOR_NAME} is damaged"
    except OSError as error:
        why = f"{FLOOR_NAME} can't be read: {error.strerror or error}"
    if why:
        remedy = f"look at the disk, then remove {folder}: the next refresh begins at the pinned root"
        yield Finding(Sign.TRUST_DAMAGED, "trust", why, remedy)


def set_aside(host: Host) -> Iterator[Finding]:
    """Tell which damaged files were put aside: somebody should know that the disk lost something."""
    for folder in (host.folder / "journal", host.folder / "identity"):
        found = sorted(path.name for path in folder.glob("*.damaged*"))
        if found:
            text = f"damaged files were put aside in {folder}: {', '.join(found[:3])}{' …' if found[3:] else ''}"
            remedy = "look at the disk (dmesg, smartctl), then remove them: nothing reads them"
            yield Finding(Sign.SET_ASIDE, folder.name, text, remedy)
