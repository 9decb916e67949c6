"""``fleetroll keys status``: who signs what, until when, and how old the keys are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll_cli.names import calendar, local_time
from fleetroll_cli.output import print_table, say
from fleetroll_common.trust.limits import ROOT_BYTES_MAX
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT, Folder, read_for_signing
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.history import public_of
from fleetroll_publishing.roles import standings
from fleetroll_publishing.rotation import key_sets

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll.v1 import keys_pb2

HEADINGS = ("ROLE", "VERSION", "SIGNED UNTIL", "NEEDS", "KEY", "SINCE", "EXCHANGE BY", "WHERE")
SHOWN_DIGITS = 16
MANAGED = (
    "managed: the server holds the keys of targets and products. Whoever takes the server can have hosts install what "
    "nobody published, until the root takes its keys back. `fleetroll keys to-offline` ends that."
)
OFFLINE = (
    "offline: publishers hold the keys of targets and products. Whoever takes the server can have hosts install "
    "nothing that was not published."
)
UNHELD = (
    "root names keys that are not on the server, which was restored from before them. It signs no list, and hosts take "
    "nothing new, until they are exchanged: fleetroll keys rotate snapshot timestamp"
)


def show(answer: keys_pb2.GetKeyStatusResponse) -> None:
    """Print what a server says."""
    say(MANAGED if answer.signing_mode == "managed" else OFFLINE)
    rows = []
    for role in answer.roles:
        for number, key in enumerate(role.keys):
            first = (role.role, str(role.version), _until(role), f"{role.threshold} of {len(role.keys)}")
            rows.append(
                (
                    *(first if number == 0 else ("", "", "", "")),
                    key.key_id[:SHOWN_DIGITS],
                    local_time(key, "since")[:10],
                    local_time(key, "rotate_after")[:10] + (" (old)" if key.old else ""),
                    "server" if key.held_here else "elsewhere",
                )
            )
    print_table(HEADINGS, rows)
    lacking = [
        role.role for role in answer.roles if role.role in ONLINE_ROLES and not any(k.held_here for k in role.keys)
    ]
    if lacking:
        say(f"{' and '.join(lacking)}: {UNHELD}")
    for path in answer.readable_root_keys:
        say(f"the server can read a root key, {path}: take it away from that machine")


def _until(role: keys_pb2.RoleStatus) -> str:
    """Return when a role's signature ends, and whether it has."""
    ends = calendar(role.expires_at) if role.HasField("expires_at") else None
    return local_time(role, "expires_at") + (" (ended)" if ends is not None and ends < datetime.now(UTC) else "")


def show_files(folder: Path, *, as_json: bool) -> None:
    """Print what signed files in a folder say, verified from the first root there.

    Raises:
        FleetrollError: they can't be trusted, or there are none.
    """
    source = Folder(folder)
    files = read_for_signing(source, source.fetch(FIRST_ROOT, ROOT_BYTES_MAX))
    signed = {each.role: each for each in standings(files)}
    sets = key_sets(files)
    if as_json:
        document = [
            {
                "role": role,
                "version": signed[role].version,
                "expires_at": signed[role].expires.isoformat(),
                "threshold": keys.threshold,
                "keys": [{"key_id": key.keyid, "public_key": public_of(key)} for key in keys.keys],
            }
            for role, keys in sets.items()
        ]
        say(json.dumps({"roles": document}, sort_keys=True))
        return
    rows = [
        (role, str(signed[role].version), f"{signed[role].expires:%Y-%m-%d %H:%M:%SZ}", needs, key.keyid[:SHOWN_DIGITS])
        for role, keys in sets.items()
        for key in keys.keys
        for needs in [f"{keys.threshold} of {len(keys.keys)}"]
    ]
    print_table(HEADINGS[:5], rows)
