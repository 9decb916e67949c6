"""``anchors import``: newer anchors from a carried repository, for a host that lost its servers for good.

A local root action, as an update from a bundle is. Everything is verified from the pinned root on; what alone is waived
is that timestamp and snapshot have expired, and that is said. With an agent that runs, it does it; else this program,
under the lock of the state folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.bundle import open_source
from fleetroll_agent.control import exits
from fleetroll_agent.control.messages import Done
from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_agent.identity.whereabouts import Whereabouts
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_common.buildinfo import build_info
from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

LOCK_WAIT_SECONDS = 10.0
"""For the child of a launcher that was just stopped."""


def import_anchors(trust: TrustClient, whereabouts: Whereabouts, source: str) -> Done:
    """Take the anchors of the carried repository ``source``. Blocks.

    Args:
        trust: the host's; what the source brings is kept there as after a refresh.
        whereabouts: of the host.
        source: the absolute path of a bundle's file or of a mirror's folder.

    Raises:
        RequestError: it is neither; NOT_FOUND: it carries no anchors (whoever made it).
        TrustError: it can't be trusted, or is older than what this host has.
        AgentError: this host's disk.
    """
    if not source.startswith("/"):
        text = f"source: {source[:200]!r} is no path; anchors are carried, not fetched"
        remedy = "name the file of a bundle, or the folder of a mirror"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field="source", value=source[:200])
    opened = open_source(source)
    try:
        signed, waived = trust.carried_anchors(opened.metadata)
    except TrustError as error:
        if error.code is not Code.METADATA_ROLLBACK:
            raise
        remedy = "make it anew from the newest repository; this host knows a newer one"
        raise TrustError(error.message, code=error.code, remedy=remedy, **error.details) from error
    if signed is None:
        text = f"source: {source[:200]!r} carries no anchors"
        remedy = "set them first: fleetroll anchors set; then make the bundle anew"
        raise RequestError(text, code=Code.NOT_FOUND, remedy=remedy, field="source")
    anchors = signed.anchors
    taken = whereabouts.take(signed)
    log.info("anchors_imported", serial=anchors.serial, taken=taken, source=source, waived=list(waived))
    lines = [f"expiry waived: {role}, as for every bundle" for role in waived]
    good = taken or whereabouts.goes_by(anchors)
    state = "are taken" if taken else "are what this host goes by already"
    if not good:
        state = f"are not taken; this host goes by anchors {whereabouts.serial} of the same keys"
    lines.append(f"anchors {anchors.serial} {state}: {', '.join(anchors.addresses)}")
    if not good:
        lines.append("set them anew, with a higher serial: fleetroll anchors set; then make the bundle anew")
    data = {"serial": anchors.serial, "taken": taken, "addresses": list(anchors.addresses), "waived": list(waived)}
    return Done(exits.GOOD if good else exits.REFUSED, "\n".join(lines), data)


def import_alone(folder: Path, source: str) -> Done:
    """Do it without an agent that runs; raises as :func:`import_anchors`.

    Raises:
        LauncherError: a launcher holds the state folder, and its agent does not answer.
    """
    with StateLock(str(folder), LOCK_WAIT_SECONDS):
        store = IdentityStore(folder / "identity", SystemIds())
        identity = store.load()
        trust = TrustClient(folder / "trust", identity.enrolment.root, NoServer(), SystemClock(), build_info().built_at)
        return import_anchors(trust, Whereabouts(store, identity), source)


class NoServer:
    """The source of a client that asks no server."""

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Refuse: nothing is asked of a server here."""
        del max_bytes
        raise SourceFailed(f"no server is asked for {name}")
