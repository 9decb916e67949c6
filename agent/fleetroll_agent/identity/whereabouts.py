"""Where this process finds its servers and whom it trusts there: what was loaded, then what newer anchors say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_common.values.anchors import Anchors


class Whereabouts:
    """One per process. Reading never blocks; what is taken is on disk first."""

    def __init__(self, store: IdentityStore, identity: Identity) -> None:
        """Begin with what ``identity`` holds."""
        self._store = store
        self._lock = threading.Lock()
        self._dialled = (identity.enrolment.addresses, identity.enrolment.ca_pem)
        kept = identity.anchors
        self.serial = 0 if kept is None else kept.anchors.serial
        """Of the anchors that this host goes by; 0 = by what it got at enrolment."""
        self.named = identity.enrolment.addresses if kept is None else kept.anchors.addresses
        """The addresses that the anchors name, without former ones."""

    @property
    def dialled(self) -> tuple[tuple[str, ...], bytes]:
        """Return the addresses, in the order in which they are tried, and the only CAs that are trusted there."""
        return self._dialled

    def take(self, anchors: Anchors) -> bool:
        """Go by verified ``anchors`` if they are newer; True when they are, and are on disk now. Blocks.

        Raises:
            AgentError: DISK_FULL or INTERNAL: nothing has changed; another try may do.
        """
        with self._lock:
            if anchors.serial <= self.serial:
                return False
            kept = self._store.take_anchors(anchors)
            self.serial, self.named = anchors.serial, anchors.addresses
            self._dialled = (kept.addresses, anchors.ca_pem)
            return True
