"""Checks of where products are: can they be replaced, and are they what was installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.doctor.writing import is_mounted, why_not_writable, why_protected
from fleetroll_agent.products.folders import weak_spots
from fleetroll_agent.products.places import Places
from fleetroll_agent.products.standing import same_bytes
from fleetroll_agent.products.switching import leads_to, old_of, require_replaceable
from fleetroll_agent.settings import Kind
from fleetroll_agent.slots import InUse, SlotStore
from fleetroll_common.values.errors import AgentError, FleetrollError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll_agent.doctor.host import Host, Kept
    from fleetroll_agent.jobs.work import Installed


def replaceable(host: Host) -> Iterator[Finding]:
    """Tell which products the next update could not put in place."""
    for kept in host.managed:
        places = Places(host.folder, kept.product)
        if kept.product.kind is Kind.FILE:
            yield from _file(host, kept, places.file)
        elif kept.product.kind is Kind.SLOTS:
            yield from _link(host, kept, places.link)


def _file(host: Host, kept: Kept, path: Path) -> Iterator[Finding]:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        remedy = "name the file itself in agent.toml, or move away what stands there"
        yield Finding(Sign.PLACE_TAKEN, kept.name, f"{path} is no plain file, so it is left as it is", remedy)
        return
    folder = why_not_writable(path.parent)
    reasons = [(path.parent, folder)] if folder else [(one, why_protected(one)) for one in (path, old_of(path))]
    if is_mounted(path):
        reasons.append((path, "it is a mount of its own, and nothing can be renamed over it: mount its folder"))
    yield from _denied(kept, path, reasons)
    yield from _way(host, kept, path, lambda own: require_replaceable(path, own))


def _link(host: Host, kept: Kept, link: Path) -> Iterator[Finding]:
    if link.exists() and not link.is_symlink():
        remedy = "move it away, or name another link in agent.toml"
        yield Finding(Sign.PLACE_TAKEN, kept.name, f"{link} is no link, so it is left as it is", remedy)
    elif kept.product.link is not None or link.parent.exists():
        yield from _denied(kept, link, [(link.parent, why_not_writable(link.parent))])
        yield from _way(host, kept, link, lambda _own: None)


def _denied(kept: Kept, place: Path, reasons: list[tuple[Path, str]]) -> Iterator[Finding]:
    for path, why in reasons:
        if why:
            text = f"{place} can't be replaced: {path}: {why}"
            remedy = f"mend that before the next update (findmnt -T {path}, ls -ld {path}, lsattr -d {path})"
            yield Finding(Sign.REPLACE_DENIED, kept.name, text, remedy)


def _way(host: Host, kept: Kept, place: Path, look: Callable[[int], None]) -> Iterator[Finding]:
    """Tell why the switch would refuse the way to a place, or who could bend it; ``look`` raises what else it would."""
    own = host.folder.stat().st_uid
    try:
        weak = weak_spots(place.parent, own)
        look(own)
    except AgentError as error:
        yield Finding(Sign.REPLACE_DENIED, kept.name, f"{place} can't be replaced: {error}", error.remedy)
        return
    except OSError:
        return  # a folder that is gone, or can't be written to, is told already
    if weak:
        text = f"others than root can put something else in the place of {place}: {'; '.join(weak)}"
        remedy = "let root alone own and write these folders (chown root, chmod go-w), unless whoever can is trusted"
        yield Finding(Sign.PLACE_OPEN, kept.name, text, remedy)


def slots(host: Host) -> Iterator[Finding]:
    """Tell which installed versions are gone, or not as they were signed."""
    if host.boot is not None:
        store = SlotStore(host.folder)
        for slot, which in ((host.boot.current, "current"), (host.boot.previous, "previous")):
            if slot is not None:
                yield from _slot(host, "agent", store, host.folder / "slots" / "agent" / slot.name, which)
    for kept in host.managed:
        if kept.product.kind is Kind.COMMAND or kept.is_busy:
            continue
        for installed, which in ((kept.record.current, "current"), (kept.record.previous, "previous")):
            if installed is not None:
                store = SlotStore(host.folder, product=kept.name)
                yield from _slot(host, kept.name, store, _path(host, kept, installed), which)


def _slot(host: Host, name: str, store: SlotStore, path: Path, which: str) -> Iterator[Finding]:
    """Judge one slot: the agent's own is repaired by enrolling, a product's by another version."""
    by_hand = (
        "fleetroll-agent enroll again (it keeps the identity)" if name == "agent" else host.command(f"update {name}")
    )
    again = f"there is no way back until the next update; it brings a new one: {host.command(f'update {name}')}"
    if not store.is_complete(path):
        text = f"the {which} version has no complete slot: {path}"
        remedy = f"bring it again: {by_hand}" if which == "current" else again
        yield Finding(Sign.SLOT_MISSING, name, text, remedy)
        return
    drift = store.check(path)
    if not drift.is_clean:
        text = f"the {which} version is not as it was signed, in {path}: {drift.summary}"
        remedy = f"find out who changed it; then bring another version: {by_hand}"
        yield Finding(Sign.SLOT_CHANGED, name, text, remedy)


def kept_by_processes(host: Host) -> Iterator[Finding]:
    """Tell which old versions stay because a process uses them, and which one."""
    agent, boot = host.products[0], host.boot
    if boot is not None and boot.trial is None and agent.record.attempt is None:
        store, folder = SlotStore(host.folder), host.folder / "slots" / agent.name
        previous = None if boot.previous is None else folder / boot.previous.name
        yield from _kept_slots(agent, store, InUse(folder / boot.current.name, None, previous))
    for kept in host.managed:
        if kept.product.kind is Kind.COMMAND or kept.fault or kept.record.broken or kept.is_busy:
            continue
        places = Places(host.folder, kept.product)
        yield from _kept_slots(kept, places.slots, places.in_use(kept.record))


def _kept_slots(kept: Kept, store: SlotStore, in_use: InUse) -> Iterator[Finding]:
    for name, pid in store.users_beyond(in_use).items():
        text = f"the version {name} is needed by no record, and stays: process {pid} uses it"
        remedy = f"restart what runs from it (ps -fp {pid}); the next update then removes it"
        yield Finding(Sign.SLOT_KEPT, kept.name, text, remedy)


def in_place(host: Host) -> Iterator[Finding]:
    """Tell where what the world sees is not the version that is installed."""
    for kept in host.managed:
        if kept.record.current is None or kept.product.kind is Kind.COMMAND or kept.is_busy:
            continue
        places, path = Places(host.folder, kept.product), _path(host, kept, kept.record.current)
        if kept.product.kind is Kind.SLOTS:
            yield from _led(kept, places.link, path)
        else:
            yield from _same(kept, places, path)


def _led(kept: Kept, link: Path, path: Path) -> Iterator[Finding]:
    if not leads_to(link, path) and (link.is_symlink() or not link.exists()):
        where = f"leads to {link.readlink()}" if link.is_symlink() else "is gone"
        text = f"{link} {where}, the version that is installed is in {path}"
        remedy = f"find out who changed it; then: ln -sfn {path} {link} and restart the product"
        yield Finding(Sign.LINK_ASTRAY, kept.name, text, remedy)


def _same(kept: Kept, places: Places, path: Path) -> Iterator[Finding]:
    try:
        slot = places.slots.get(path)
    except FleetrollError:
        return  # its slot is missing, which is told already
    source, file = slot.path / slot.entry, places.file
    if file.is_symlink() or (file.exists() and not file.is_file()) or same_bytes(file, source):
        return
    text = f"{file} {'differs from' if file.exists() else 'is gone; it was'} the installed {slot.version}"
    remedy = f"find out who changed it; then: cp {source} {file} and restart the product"
    yield Finding(Sign.FILE_CHANGED, kept.name, text, remedy)


def _path(host: Host, kept: Kept, installed: Installed) -> Path:
    return Path(Places(host.folder, kept.product).slot_path(installed.version, installed.sha256))
