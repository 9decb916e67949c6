"""What the parts of the server share: one frozen bag, made at start, given to every servicer and background task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from fleetroll_server.anchoring.reported import Reported
from fleetroll_server.door import Door
from fleetroll_server.lookagain import LookAgain

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.catalogue.catalogue import Catalogue
    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.leaf import Leaf
    from fleetroll_server.secrets import Secrets
    from fleetroll_server.settings import Settings
    from fleetroll_server.store import Store


class Sessions(Protocol):
    """The open agent sessions of this process, as the other rooms see them.

    Whatever is pushed here MUST have been committed before: use :meth:`~fleetroll_server.store.Tx.after_commit`.
    """

    def send(self, agent_id: str, message: stream_pb2.ConnectResponse) -> bool:
        """Queue a message; False when the agent has no session here."""

    def close(self, agent_id: str, last: stream_pb2.ConnectResponse) -> bool:
        """End the agent's session with ``last``; False when it has none here."""

    def broadcast(self, message: stream_pb2.ConnectResponse, wanted: Callable[[Any], bool]) -> int:
        """Queue one message, built once, for each wanted session; return how many took it."""

    def close_all(self, last: stream_pb2.ConnectResponse) -> int:
        """End every session with ``last``; return how many it were."""

    def is_online(self, agent_id: str) -> bool:
        """Tell whether the agent has a session in this process."""


@dataclass(slots=True)
class Born:
    """Holds the incarnation."""

    incarnation: str


class BackgroundService(Protocol):
    """A part that runs beside the requests. Started in the list's order, drained and stopped in reverse."""

    async def start(self) -> None:
        """Begin; return once it runs."""

    async def drain(self) -> None:
        """Take nothing new and let peers know; called when the server is about to go down."""

    async def stop(self) -> None:
        """End, and wait until nothing of it runs any more."""


@dataclass(frozen=True, slots=True)
class Services:
    """The shared parts.

    Attributes:
        store: the open database.
        clock: this host's clocks.
        ids: random ids and bytes.
        settings: as read at start; they do not change while the process runs.
        folder: where files lie.
        secrets: the box that opens what the database keeps sealed.
        server_key: key of receipts and session tokens, shared by all servers of the database, 32 bytes.
        server_id: of this process; new at each start.
        born: the database's incarnation as this process knows it: it changes when the database went back.
        demo: True in a repository made by ``init --demo``: dirty builds may be published.
        leaf: the server's certificate, and the CA behind it.
        addresses: "host:port" under which agents reach this fleet's servers, in order, while no anchors are signed.
        catalogue: releases, artefacts, signed metadata.
        sessions: the open agent sessions of this process.
        look_again: rollouts whose work goes on in the next transaction.
        door: whether this process accepts hellos.
        reported: by which anchors each host goes, as far as this process has written it.
        former_keys: keys of receipts from before a restore: they stand for enrolments alone.
    """

    store: Store
    clock: Clock
    ids: IdSource
    settings: Settings
    folder: DataFolder
    secrets: Secrets
    server_key: bytes
    server_id: str
    born: Born
    demo: bool
    leaf: Leaf
    addresses: tuple[str, ...]
    catalogue: Catalogue
    sessions: Sessions
    look_again: LookAgain = field(default_factory=LookAgain)
    door: Door = field(default_factory=Door)
    reported: Reported = field(default_factory=Reported)
    former_keys: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def ca_pem(self) -> bytes:
        """Return the certificate of the CA that signs this server's, PEM."""
        return self.leaf.ca_pem

    @property
    def incarnation(self) -> str:
        """Return the database's incarnation, as this process knows it."""
        return self.born.incarnation
