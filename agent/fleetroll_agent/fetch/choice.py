"""Several sources of the same bytes: which is asked when, and which has lied.

Mirrors are asked in their order, then the server's own repository. A source that fails is passed over for the rest of
the call; what it sent is kept, for the hash will tell. A source whose own bytes have another hash than the signed one
is not asked for that target again, as long as others may still have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError, TrustError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_agent.fetch.values import NamedSource, TargetSource, Wanted
    from fleetroll_common.values.errors import FleetrollError

OWN = "the server"
"""The name of the source that has no other."""
MAX_TARGETS = 64
"""Targets whose liars are remembered; attempts that were given up leave theirs behind."""


class Liars:
    """Which mirrors sent wrong bytes for which target. Lasts as long as the process, or until the target's end."""

    def __init__(self) -> None:
        """Blame nobody."""
        self._names: dict[str, frozenset[str]] = {}

    def of(self, target: Wanted) -> frozenset[str]:
        """Return the names that are not asked for ``target``."""
        return self._names.get(target.sha256, frozenset())

    def blame(self, target: Wanted, name: str) -> None:
        """Remember ``name``."""
        names = self._names.pop(target.sha256, frozenset())
        self._names[target.sha256] = names | {name}
        while len(self._names) > MAX_TARGETS:
            del self._names[next(iter(self._names))]

    def forget(self, target: Wanted) -> None:
        """Start anew: the target is there, or nobody has it, and a person who asks again may have mended a mirror."""
        self._names.pop(target.sha256, None)


@dataclass(frozen=True, slots=True)
class Offer:
    """One source under its name."""

    name: str
    source: TargetSource


class SourcesInTurn:
    """The sources of one host."""

    def __init__(
        self, mirrors: Sequence[NamedSource] = (), own: TargetSource | None = None, liars: Liars | None = None
    ) -> None:
        """Ask ``mirrors`` in their order, then ``own``; ``liars`` is kept by who wants it to outlast a call.

        Raises:
            RequestError: INVALID_ARGUMENT: there is no source at all.
        """
        offers = [Offer(mirror.name, mirror) for mirror in mirrors]
        if own is not None:
            offers.append(Offer(OWN, own))
        if not offers:
            text = "sources: neither a mirror nor a server to download from"
            raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy="name a mirror")
        self._offers = tuple(offers)
        self.liars = liars or Liars()

    def offers(self, target: Wanted) -> tuple[Offer, ...]:
        """Return whom to ask for ``target``, in this order; all of them rather than nobody."""
        liars = self.liars.of(target)
        return tuple(offer for offer in self._offers if offer.name not in liars) or self._offers


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a source was given up: its name, the reason in words, and whether its bytes were wrong."""

    name: str
    reason: str
    lied: bool = False


def told(faults: Sequence[Fault]) -> str:
    """Say what went wrong with each source; the server alone needs no name."""
    if [fault.name for fault in faults] == [OWN]:
        return faults[0].reason
    return "; ".join(f"{fault.name}: {fault.reason}" for fault in faults)


def failure(target: Wanted, faults: Sequence[Fault], received_bytes: int) -> FleetrollError:
    """Return the error that ends a call: the last source's fault decides which, all are named."""
    reason, remedy = told(faults), "it goes on where it stopped"
    details = {"path": target.path, "reason": reason}
    liars = ", ".join(fault.name for fault in faults if fault.lied)
    if liars and liars != OWN:
        details["blamed"] = liars
    if faults[-1].lied:
        remedy = f"compare the artefact of {liars} with the published one"
        return TrustError(f"download of {target.path}: {reason}", code=Code.WRONG_HASH, remedy=remedy, **details)
    details["received_bytes"] = str(received_bytes)
    message = f"download of {target.path}: {reason}, at {received_bytes} of {target.length} bytes"
    return AgentError(message, code=Code.DOWNLOAD_FAILED, remedy=remedy, **details)
