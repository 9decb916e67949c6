"""What the office asks of the rest of the agent: the signed list, what is on this disk, what agent.toml has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.bundle import open_source
from fleetroll_agent.jobs.state import boot_record
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.products.by_hand import why_not
from fleetroll_agent.products.recipes import recipe_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.settings.product import Product
    from fleetroll_common.trust import TrustClient
    from fleetroll_common.trust.listing import Offered


class Targets:
    """Answers questions; the ones about signed metadata block."""

    def __init__(self, trust: TrustClient, managed: Mapping[str, Product]) -> None:
        """Ask ``trust`` what is listed; ``managed`` are the products beside the agent."""
        self._trust = trust
        self._managed = managed

    def listed(self, product: str, source: str, *, bundles: bool = True) -> Offered:
        """Return what the product's verified role lists now, and what its publisher rules.

        Args:
            product: its name.
            source: a mirror or a bundle; empty = the server.
            bundles: whether a person asks, for whom a bundle's expiry is waived.

        Raises:
            TrustError, AgentError: the metadata can't be had, or not be trusted.
            RequestError: ``source`` is none, or a bundle where no person asks.
        """
        if source:
            try:
                return open_source(source, bundles=bundles).listed(self._trust, product)
            except AgentError as error:
                if error.code is not Code.DOWNLOAD_FAILED:
                    raise
                remedy = f"see to {source} and the way there; then run it again"
                raise AgentError(error.message, code=error.code, remedy=remedy, **error.details) from error
        self._trust.refresh()
        return self._trust.ruled(product)

    def known_time(self) -> datetime:
        """Return the latest instant that has surely passed: no clock that is right shows less.

        Raises:
            TrustError, AgentError: this host's record of it is damaged, or can't be read.
        """
        return self._trust.known_time

    def previous(self, product: str, state: State) -> tuple[str, str]:
        """Return version and digest of what a person's way back leads to.

        Raises:
            RequestError: NOT_FOUND: there is nothing to go back to; DIGEST_REVOKED: it must not run any more.
        """
        if product == PRODUCT:
            before = boot_record(state).previous
            if before is not None:
                return _not_revoked(product, state, before.version, before.digest)
            why = "no version before this one is known on this host"
        else:
            why = why_not(recipe_of(self._managed[product]), state)
            if not why and state.record.previous is not None:
                return _not_revoked(product, state, state.record.previous.version, state.record.previous.sha256)
        raise RequestError(f"{product}: {why}", code=Code.NOT_FOUND, remedy="update to a version by its name")

    def can_restore(self, product: str) -> bool:
        """Tell whether agent.toml has a ``restore`` for the product."""
        return product in self._managed and self._managed[product].hooks.restore is not None


def _not_revoked(product: str, state: State, version: str, sha256: str) -> tuple[str, str]:
    """Return both, unless the publisher revoked the digest: a person has a choice, an agent in need has none."""
    why = state.record.banned(sha256)
    if why is not None:
        text = f"{product}: {version}, the version before, was revoked: {why}"
        raise RequestError(text, code=Code.DIGEST_REVOKED, remedy="update to a version by its name", version=version)
    return version, sha256
