"""Puts a running agent together from its state folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import fleetroll_agent
from fleetroll_agent import host
from fleetroll_agent.containers import container_marker
from fleetroll_agent.fetch import DownloadLimits, MirrorSource, Pacer, SourceFailed
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.agent_update import AgentUpdate
from fleetroll_agent.jobs.artefacts import Ways
from fleetroll_agent.jobs.journal import Journal
from fleetroll_agent.jobs.keeper import Keeper, Part, ProductFile
from fleetroll_agent.jobs.lock import JobLock
from fleetroll_agent.jobs.policy import policy_of
from fleetroll_agent.jobs.state import Rules, Running
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.products.assembling import Shared
from fleetroll_agent.settings import Settings, read_settings
from fleetroll_agent.settings.product import Kind, Product
from fleetroll_agent.slots import Slot, SlotStore
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.buildinfo import build_info
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import Clock, SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.ids import SystemIds
from fleetroll_common.values.release import is_product

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.jobs.policy import Policy
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.session.link import Link


log = structlog.get_logger(__name__)


class LinkedMetadata:
    """Gives metadata over whichever session is open when it is asked."""

    def __init__(self) -> None:
        """Start without a link; there is one before anything is asked."""
        self.link: Link | None = None

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the file ``name``; see :class:`fleetroll_common.trust.MetadataSource`."""
        if self.link is None:
            raise SourceFailed("no session was ever open")
        return self.link.newest_repository().fetch(name, max_bytes)


@dataclass(frozen=True)
class Parts:
    """What a daemon is made of. ``time_zone`` is the host's, read once: rules and server have to go by the same one."""

    folder: Path
    slot: Slot
    store: IdentityStore
    identity: Identity
    journal: Journal
    keeper: Keeper
    update: AgentUpdate
    trust: TrustClient
    ways: Ways
    lock: JobLock
    settings: Settings
    clock: Clock
    line: LinkedMetadata
    calls_itself: str
    """The version that this program is stamped with; the slot says what was signed."""
    container_marker: str = ""
    time_zone: str = "UTC"
    host_name: str = field(default_factory=host.host_name)
    boot_id: str = field(default_factory=read_boot_id)

    @property
    def running(self) -> Running:
        """The slot of this process."""
        return Running(str(self.slot.version), self.slot.sha256)

    @property
    def managed(self) -> tuple[Product, ...]:
        """The products beside the agent, in the order in which they are updated."""
        return (*(one for one in self.settings.in_order if one.kind is not Kind.AGENT), *self.abandoned)

    @property
    def abandoned(self) -> tuple[Product, ...]:
        """The products that agent.toml does not name any more, in the middle of an update.

        What still runs of it is ended, and a person is told: nobody else here knows its way back.
        """
        known = {product.name for product in self.settings.products} | {PRODUCT}
        names = [file.stem for file in (self.folder / "products").glob("*.json") if file.stem not in known]
        return tuple(Product(name, Kind.COMMAND) for name in sorted(names) if _is_past_go(self.folder, name))

    @property
    def shared(self) -> Shared:
        """What they share."""
        return Shared(
            self.folder,
            self.identity.enrolment.agent_id,
            self.trust,
            self.journal,
            self.lock,
            self.clock,
            self.ways,
            self.settings.go_ask_interval_seconds,
            self.time_zone,
        )


def assemble(folder: Path, slot: Slot | None = None) -> Parts:
    """Read everything that a daemon needs. Blocks.

    Args:
        folder: the state folder.
        slot: what runs, under its own name; None = the slot that this program stands in.

    Raises:
        FleetrollError: the host is not enrolled, a file is damaged, or this program runs from elsewhere than a slot.
    """
    slots = SlotStore(folder)
    calls_itself = str(slot.version if slot is not None else build_info().version)
    slot = slot or own_slot(slots, folder)
    settings = read_settings(folder)
    rules = Rules(ask_interval=settings.go_ask_interval_seconds)
    clock, ids, line = SystemClock(), SystemIds(), LinkedMetadata()
    store = IdentityStore(folder / "identity", ids)
    identity = store.load()
    trust = TrustClient(folder / "trust", identity.enrolment.root, line, clock, build_info().built_at)
    with typed_disk_errors("opening the journal"):
        journal = Journal(folder / "journal", ids)
    _prune(journal, clock)
    ways, marker, time_zone = _ways(settings, clock), container_marker(), host.time_zone()
    products = ProductFile(folder)
    # Read again when the work begins; what can't be read is the host's refusal, and known before anything starts.
    products.read()
    own = Running(str(slot.version), slot.sha256)
    return Parts(
        folder=folder,
        slot=slot,
        store=store,
        identity=identity,
        journal=journal,
        keeper=Keeper(products, journal, clock, Part(rules, own, policy=_own_policy(settings, marker, time_zone))),
        container_marker=marker,
        time_zone=time_zone,
        update=AgentUpdate(folder, trust, slots, ways),
        ways=ways,
        trust=trust,
        lock=JobLock(folder),
        settings=settings,
        clock=clock,
        line=line,
        calls_itself=calls_itself,
    )


def check_name(parts: Parts, record: Record) -> None:
    """Refuse to be tried by ``record`` as another version than this program calls itself.

    A self-test is part of what it tests, and one that says what is wanted passes. Outside of a trial nothing is
    refused: a host whose agent has the wrong name is better off than one without an agent.

    Raises:
        AgentError: VERSION_MISMATCH (the publisher's fault).
    """
    trial, signed = record.trial, parts.running.version
    if trial is None or trial.slot.digest != parts.slot.sha256 or parts.calls_itself == signed:
        return
    message = f"this program calls itself {parts.calls_itself}, its release is {signed}"
    raise AgentError(message, code=Code.VERSION_MISMATCH, remedy="publish a release that was built as its own version")


def _ways(settings: Settings, clock: Clock) -> Ways:
    """Return how bytes come to this host, as agent.toml says."""
    said = settings.download
    slowest, cap = said.slowest_kib_per_second * 1024, said.bandwidth_kib_per_second * 1024
    return Ways(
        clock=clock,
        limits=DownloadLimits(stall_seconds=said.stall_seconds, slowest_bytes_per_second=slowest),
        pacer=Pacer(clock, cap) if cap else None,
        mirrors=tuple(MirrorSource(pattern, cap or None) for pattern in said.mirrors),
    )


def _is_past_go(folder: Path, product: str) -> bool:
    attempt = ProductFile(folder, product).read().attempt if is_product(product) else None
    if attempt is None or not attempt.past_go:
        return False
    log.error("product_without_settings", product=product, remedy=f"put [products.{product}] back into agent.toml")
    return True


def _own_policy(settings: Settings, marker: str, time_zone: str) -> Policy:
    """Return what the agent's own rules go by: agent.toml may have a table for it, and has defaults without one."""
    product = settings.product(PRODUCT) or Product(PRODUCT, Kind.AGENT)
    return policy_of(product, time_zone, "" if settings.host.containers else marker)


def _prune(journal: Journal, clock: Clock) -> None:
    """Remove what is old, where the disk lets that happen: writing the head needs room, and a full disk has none."""
    try:
        journal.prune(clock.now().timestamp())
    except OSError as error:
        log.warning("journal_not_pruned", reason=error.strerror)


def own_slot(slots: SlotStore, folder: Path, program: Path | None = None) -> Slot:
    """Return the slot that this program runs from.

    Raises:
        AgentError: OWN_PATH_UNRESOLVED: it runs from elsewhere: it would not know what to report as running.
    """
    here = (program or Path(fleetroll_agent.__file__)).resolve().parent.parent
    if here.parent != (folder / "slots" / "agent").resolve():
        message = f"this program runs from {here}, which is no slot of {folder}"
        raise AgentError(
            message, code=Code.OWN_PATH_UNRESOLVED, remedy="start it with: fleetroll-agent run --state DIR"
        )
    return slots.get(folder / "slots" / "agent" / here.name)
