"""Checks of who this host is: its key, who can read it, and the CA that it goes by."""

from __future__ import annotations

import ssl
import stat
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.identity.store import KEY
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host

_DAY_SECONDS = 86400.0
KEY_GRACE_DAYS = 7.0
"""A host replaces its key by itself, in a quiet session with a server whose clock agrees: that may take some days."""
CA_DAYS = 60
"""As the server's own alarm begins (names.md, ``certificate_expiring``)."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def enrolled(host: Host) -> Iterator[Finding]:
    """Tell when this host does not know who it is."""
    fault = host.identity_fault
    if fault is None:
        return
    sign = Sign.NOT_ENROLLED if fault.code is Code.IDENTITY_UNKNOWN else Sign.IDENTITY_DAMAGED
    yield Finding(sign, "identity", fault.message, fault.remedy)


def anchored(host: Host) -> Iterator[Finding]:
    """Tell when the record of the anchors can't be believed: then the other files say the same, but not which."""
    fault = "" if host.identity is None else host.identity.anchors_fault
    if fault:
        text = f"{fault}; this host goes by the addresses and CAs that it took last"
        remedy = f"it is written anew with the next refresh; without a server: {host.command('anchors import FILE')}"
        yield Finding(Sign.IDENTITY_DAMAGED, "identity", text, remedy)


def private(host: Host) -> Iterator[Finding]:
    """Tell when others than the agent's own account could read its key."""
    folder = host.folder / "identity"
    owner = host.folder.stat().st_uid
    for path in (folder, folder / KEY):
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue
        if facts.st_uid != owner:
            text = f"{path} belongs to user {facts.st_uid}, the state folder to user {owner}"
            yield Finding(Sign.IDENTITY_OPEN, str(path), text, f"chown {owner} {path}")
        if facts.st_mode & _OTHERS:
            mode = "0700" if stat.S_ISDIR(facts.st_mode) else "0600"
            text = f"{path} has the mode {stat.S_IMODE(facts.st_mode):04o}: others may have read this host's key"
            remedy = f"chmod {mode} {path}; if that was so for long, readmit the host for a new key"
            yield Finding(Sign.IDENTITY_OPEN, str(path), text, remedy)


def key_age(host: Host) -> Iterator[Finding]:
    """Tell when the key is older than it should become."""
    since = None if host.identity is None else host.identity.keys.since
    if since is None:
        return
    days, limit = (host.now.timestamp() - since) / _DAY_SECONDS, host.settings.identity_rotate_after_days
    if days > limit + KEY_GRACE_DAYS:
        text = f"this host's key is {days:.0f} days old and should have been replaced after {limit:g}"
        remedy = "it is replaced in a quiet session with a server whose clock agrees: see what keeps it from one"
        yield Finding(Sign.KEY_OLD, "identity", text, remedy)


def authority(host: Host) -> Iterator[Finding]:
    """Tell when the last certificate of the CA that this host goes by ends soon, or is not good yet."""
    if host.identity is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=host.identity.enrolment.ca_pem.decode("ascii"))
    ends = [ssl.cert_time_to_seconds(str(found["notAfter"])) for found in context.get_ca_certs()]
    if not ends:
        return
    left = (max(ends) - host.now.timestamp()) / _DAY_SECONDS
    if left < CA_DAYS:
        day = datetime.fromtimestamp(max(ends), timezone.utc).strftime("%Y-%m-%d")
        what = f"ends in {left:.0f} days, on {day}" if left > 0 else f"has ended on {day}"
        remedy = "the server's admin renews it; a host that was not reached before the end is readmitted"
        yield Finding(Sign.CA_EXPIRING, "identity", f"the CA that this host goes by {what}", remedy)
