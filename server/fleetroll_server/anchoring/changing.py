"""The changes that an admin makes: other addresses or CAs, and the way from an old CA to a new one.

The way, each step safe for as long as anybody likes:

1. *prepare*: the successor is made, the anchors list both. Hosts learn the new one before anybody shows it.
2. *switch*: the successor signs the server's certificate. A bridge goes with it, by which hosts that were away and know
   the old CA alone still get in, and learn the rest there.
3. *drop*: the anchors list the new one alone. Hosts that have them refuse whatever the old CA signs from then on. The
   bridge goes on being shown: it helps who was away for all of it, and changes nothing for who has the new anchors.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from fleetroll_common.values.anchors import Anchors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.anchoring import set_anchors
from fleetroll_server.anchoring.standing import standing
from fleetroll_server.catalogue.keys import load_signers
from fleetroll_server.catalogue.signing import sign_and_commit
from fleetroll_server.certificates import fingerprint, host_of, leads_to
from fleetroll_server.store import EventFact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_publishing.roles import Repository
    from fleetroll_publishing.signers import RoleSigners
    from fleetroll_server.access.caller import Caller
    from fleetroll_server.anchoring.standing import Standing
    from fleetroll_server.services import Services
    from fleetroll_server.store import Tx

_log = structlog.get_logger(__name__)
_ELSEWHERE = "sign them where the targets key is, and commit the role that was signed there"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Other anchors.

    Attributes:
        addresses: empty = as they are.
        certificates: PEM, one in each; empty = as they are.
        expected_serial: that the caller has seen; None = whatever it is.
        force: also where the CAs do not lead to this server's certificate.
        reason: why.
    """

    addresses: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    expected_serial: int | None = None
    force: bool = False
    reason: str = ""


class Changing:
    """Changes one after the other; each is whole or not at all."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services
        self._lock = asyncio.Lock()

    async def signs_here(self) -> bool:
        """Tell whether this server holds the key of the targets role."""
        async with self._services.store.read() as connection:
            return (await load_signers(connection, self._services.secrets)).targets is not None

    async def set(self, wanted: Wanted, caller: Caller) -> None:
        """Sign other anchors.

        Raises:
            RequestError: INVALID_ARGUMENT: nothing to change, or a value; CONFLICT: another serial than expected, or
                they lead away from this server; NOT_ALLOWED: the targets key is elsewhere (the admin's fault).
            StoreError: nothing was stored.
        """
        async with self._lock:
            if not wanted.addresses and not wanted.certificates:
                message = "addresses: neither addresses nor certificates are given"
                raise _refused(Code.INVALID_ARGUMENT, message, "name what is to change", "addresses")
            held = await self._standing()
            if wanted.expected_serial not in {None, held.serial}:
                message = f"expected_serial: the anchors have the serial {held.serial}, not {wanted.expected_serial}"
                raise _refused(Code.CONFLICT, message, "look at the newest anchors and decide again", "expected_serial")
            anchors = _following(held, wanted.addresses, wanted.certificates)
            await self._sign(anchors, "anchors.set", caller, wanted.reason, force=wanted.force)

    async def prepare(self, caller: Caller, reason: str) -> None:
        """Make the successor of the CA, and list both where that can be signed here; the same when it is repeated.

        Raises:
            RequestError: INVALID_ARGUMENT: the anchors are full (the admin's fault).
            StoreError: the CA can't be used, or nothing was stored.
        """
        services = self._services
        async with self._lock:
            known = await asyncio.to_thread(services.leaf.authority)
            if known.successor is None:
                known = await asyncio.to_thread(services.leaf.prepare, services.clock.now())
                await self._say("authority.prepared", caller, reason, known.successor)
            held = await self._standing()
            both = [one.decode("ascii") for one in (known.certificate, known.successor) if one is not None]
            missing = tuple(one for one in both if one not in held.certificates)
            if missing and await self.signs_here():
                anchors = _following(held, (), (*held.certificates, *missing))
                await self._sign(anchors, "anchors.set", caller, reason)

    async def switch(self, caller: Caller, reason: str, *, force: bool) -> None:
        """Let the successor sign the server's certificate; open streams stay.

        Raises:
            RequestError: NOT_FOUND: no successor; CONFLICT: the anchors do not list it (the admin's fault).
            StoreError: the CA can't be used.
        """
        services = self._services
        async with self._lock:
            known = await asyncio.to_thread(services.leaf.authority)
            held = await self._standing()
            if known.successor is not None and known.successor.decode("ascii") not in held.certificates and not force:
                message = "authority: the signed anchors do not list the successor"
                raise _refused(Code.CONFLICT, message, "set anchors with both first", "authority")
            switched = await asyncio.to_thread(services.leaf.switch, services.clock.now())
            await self._say("authority.switched", caller, reason, switched.certificate)

    async def drop(self, caller: Caller, reason: str) -> None:
        """Sign anchors without the CAs that this server's certificate does not need.

        Raises:
            RequestError: NOT_FOUND: there is none to drop; NOT_ALLOWED: the targets key is elsewhere (admin's fault).
            StoreError: nothing was stored.
        """
        async with self._lock:
            known = await asyncio.to_thread(self._services.leaf.authority)
            held = await self._standing()
            ours = {one.decode("ascii") for one in (known.certificate, known.successor) if one is not None}
            kept = tuple(one for one in held.certificates if one in ours)
            if not kept:  # after a switch that was forced: the CA that signs now was never listed
                kept = (known.certificate.decode("ascii"),)
            if kept == held.certificates:
                message = "authority: every CA in the anchors is this server's own"
                raise _refused(Code.NOT_FOUND, message, "switch to a successor first", "authority")
            await self._sign(_following(held, (), kept), "anchors.set", caller, reason)

    async def _standing(self) -> Standing:
        async with self._services.store.read() as connection:
            return await standing(connection, self._services)

    async def _sign(self, anchors: Anchors, kind: str, caller: Caller, reason: str, *, force: bool = False) -> None:
        """Sign and commit, with the server's certificate fit for every address before a host hears of it."""
        services = self._services
        await require_own_leaf(services, anchors, force=force)
        event = EventFact(
            fleet_id="",
            kind=kind,
            actor_kind=caller.actor_kind,
            actor_id=caller.actor_id,
            reason=reason,
            message=", ".join(anchors.addresses),
            facts={"serial": str(anchors.serial), "authorities": " ".join(map(_short, anchors.certificates))},
        )

        def act(old: Mapping[str, bytes], signers: RoleSigners, now: datetime) -> dict[str, bytes]:
            return set_anchors(old, anchors, signers, now)

        async def store(tx: Tx, _repository: Repository) -> None:
            tx.emit(event)

        async with services.catalogue.signing:
            try:
                await sign_and_commit(services, act, store)
            except RequestError as error:
                if error.code is not Code.NOT_ALLOWED:
                    raise
                raise RequestError(error.message, code=error.code, remedy=_ELSEWHERE, **error.details) from error
        _log.info("anchors.set", serial=anchors.serial, addresses=list(anchors.addresses))

    async def _say(self, kind: str, caller: Caller, reason: str, certificate: bytes | None) -> None:
        """Record what became of the CA."""
        shown = "" if certificate is None else fingerprint(certificate)
        event = EventFact(
            fleet_id="",
            kind=kind,
            actor_kind=caller.actor_kind,
            actor_id=caller.actor_id,
            reason=reason,
            message=shown,
            facts={"fingerprint": shown},
        )

        async def job(tx: Tx) -> None:
            tx.emit(event)

        await self._services.store.writer.command(job)
        _log.info(kind, fingerprint=shown)


async def require_own_leaf(services: Services, anchors: Anchors, *, force: bool = False, dry_run: bool = False) -> None:
    """Refuse CAs that do not lead to the server's certificate, and make that stand for every address of ``anchors``.

    Whoever commits anchors that were signed elsewhere MUST call it before.

    Args:
        services: the shared parts.
        anchors: what hosts are about to be told.
        force: also where none of the CAs leads here: the fleet moves to another server.
        dry_run: look at the CAs and leave the certificate as it is.

    Raises:
        RequestError: CONFLICT: hosts that take them could never connect to this server again (whoever set them).
        StoreError, OSError: the certificate can't be made.
    """
    trusted = [one.encode("ascii") for one in anchors.certificates]
    if not force and not leads_to(services.leaf.chain, trusted):
        message = "certificates: none of the CAs leads to the certificate that this server shows"
        remedy = "add this server's own CA, or force it with a reason where the fleet moves to another server"
        raise _refused(Code.CONFLICT, message, remedy, "certificates")
    if dry_run:
        return
    hosts = [host_of(address) for address in anchors.addresses]
    await asyncio.to_thread(services.leaf.name, hosts, services.clock.now())


def _following(held: Standing, addresses: tuple[str, ...], certificates: tuple[str, ...]) -> Anchors:
    """Return the anchors that follow what holds; what is empty stays."""
    return Anchors(held.serial + 1, addresses or held.addresses, certificates or held.certificates)


def _short(certificate: str) -> str:
    return fingerprint(certificate.encode("ascii"))[:16]


def _refused(code: Code, message: str, remedy: str, field: str) -> RequestError:
    """Return the admin's error."""
    return RequestError(message, code=code, remedy=remedy, field=field)
