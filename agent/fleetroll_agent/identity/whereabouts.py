"""Where this process finds its servers and whom it trusts there: what was loaded, then what newer anchors say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fleetroll_agent.identity.anchored import is_news

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Identity
    from fleetroll_agent.identity.store import IdentityStore
    from fleetroll_common.values.anchors import Anchors, SignedAnchors


class Whereabouts:
    """One per process. Reading never blocks; what is taken is on disk first."""

    def __init__(self, store: IdentityStore, identity: Identity) -> None:
        """Begin with what ``identity`` holds."""
        self._store = store
        self._lock = threading.Lock()
        self._dialled = (identity.enrolment.addresses, identity.enrolment.ca_pem)
        self._kept = kept = identity.anchors
        self.named = identity.enrolment.addresses if kept is None else kept.anchors.addresses
        """The addresses that the anchors name, without former ones."""

    @property
    def serial(self) -> int:
        """Return the serial of the anchors that this host goes by; 0 = by what it got at enrolment."""
        return 0 if self._kept is None else self._kept.anchors.serial

    @property
    def dialled(self) -> tuple[tuple[str, ...], bytes]:
        """Return the addresses, in the order in which they are tried, and the only CAs that are trusted there."""
        return self._dialled

    def goes_by(self, anchors: Anchors) -> bool:
        """Tell whether these are the ones that this host goes by."""
        return self._kept is not None and self._kept.anchors == anchors

    def take(self, signed: SignedAnchors) -> bool:
        """Go by verified anchors if they are newer; True when others than before are on disk now. Blocks.

        The same ones under other keys are written down with these, so that the next ones are held against them.

        Raises:
            AgentError: DISK_FULL or INTERNAL: nothing has changed; another try may do.
        """
        with self._lock:
            if not is_news(signed, self._kept):
                return False
            known = self.goes_by(signed.anchors)
            self._kept = kept = self._store.take_anchors(signed)
            self.named = kept.anchors.addresses
            self._dialled = (kept.addresses, kept.anchors.ca_pem)
            return not known
