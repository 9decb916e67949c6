"""What all checks look at, read once. A part that can't be read is a fault with words, and the rest goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fleetroll_agent.containers import container_marker
from fleetroll_agent.doctor.patience import within
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_agent.reading import agent_log
from fleetroll_agent.reading.files import launcher_runs, read_boot, read_product, read_told
from fleetroll_agent.reading.policy import settings_text, with_agent
from fleetroll_agent.settings import Product, Settings, parse_settings
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.launcher.values import Record

READ_SECONDS = 10.0
"""Small files of a disk; a dead one answers never."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Kept:
    """One product with its record; ``fault`` says why the record can't be believed, empty = it can."""

    product: Product
    record: ProductRecord
    fault: str

    @property
    def name(self) -> str:
        """The product's name."""
        return self.product.name

    @property
    def is_busy(self) -> bool:
        """Tell whether an attempt is at work on it: then its places are in between."""
        return self.record.attempt is not None and self.record.attempt.past_go


@dataclass(frozen=True)
class Host:
    """One host as its files have it.

    Attributes:
        folder: the state folder.
        root: of the file system in which the service's files are.
        now: aware.
        settings: of agent.toml; the defaults where it can't be read.
        settings_fault: why it can't; None = it can.
        identity: who this host is; None where that can't be read.
        identity_fault: why it can't; None = it can.
        products: the agent first.
        boot: the launcher's record; None = there is none that can be believed.
        boot_fault: what is wrong with it; empty = nothing.
        log: events of the agent's log, oldest first.
        told: what the launcher said of itself last; empty = nothing.
        runs: a launcher holds the state folder.
        container: the marker of a container; empty = none.
    """

    folder: Path
    root: Path
    now: datetime
    settings: Settings
    settings_fault: FleetrollError | None
    identity: Identity | None
    identity_fault: FleetrollError | None
    products: tuple[Kept, ...]
    boot: Record | None
    boot_fault: str
    log: tuple[agent_log.Event, ...]
    told: dict[str, Any]
    runs: bool
    container: str

    @property
    def managed(self) -> tuple[Kept, ...]:
        """The products beside the agent."""
        return self.products[1:]

    def command(self, words: str) -> str:
        """Return a command of this program for this state folder."""
        return f"fleetroll-agent {words} --state {self.folder}"


def look(folder: Path, now: datetime, root: Path = Path("/")) -> Host:
    """Read the state folder ``folder``, which is there. Raises nothing that its content could be the reason of."""
    settings, settings_fault = _tried(lambda: parse_settings(settings_text(folder)))
    settings = settings or Settings()
    identity, identity_fault = _tried(lambda: IdentityStore(folder / "identity", SystemIds()).peek())
    boot, boot_broken = _tried(lambda: read_boot(folder))
    log, _ = _tried(lambda: agent_log.events(agent_log.lines(folder)))
    told, _ = _tried(lambda: read_told(folder))
    runs, _ = _tried(lambda: launcher_runs(folder))
    return Host(
        folder=folder,
        root=root,
        now=now,
        settings=settings,
        settings_fault=settings_fault,
        identity=identity,
        identity_fault=identity_fault,
        products=tuple(_kept(folder, product) for product in with_agent(settings)),
        boot=None if boot is None else boot[0],
        boot_fault=str(boot_broken.message if boot_broken else "") if boot is None else boot[1],
        log=tuple(log or ()),
        told=told or {},
        runs=bool(runs),
        container=container_marker(root=root),
    )


def _kept(folder: Path, product: Product) -> Kept:
    found, fault = _tried(lambda: read_product(folder, product.name))
    if found is None:
        return Kept(product, ProductRecord(product.name), "" if fault is None else fault.message)
    return Kept(product, *found)


def _tried(read: Callable[[], _T]) -> tuple[_T | None, FleetrollError | None]:
    """Return what was read, or why it was not."""
    try:
        return within(READ_SECONDS, read), None
    except FleetrollError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 (what stands in a damaged file is nobody's choice)
        remedy = "look at the file, and at the host's kernel log"
        return None, AgentError(f"it can't be read: {error!r:.300}", code=Code.INTERNAL, remedy=remedy)
