"""What the commands backup and restore do."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_server.commands import PRIVATE, passphrase_of, say
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.lifecycle import check_initialised
from fleetroll_server.observe.logs import configure_logs
from fleetroll_server.upkeep.backup import BackupRequest, back_up
from fleetroll_server.upkeep.restore import RestoreRequest
from fleetroll_server.upkeep.restore import restore as restore_from

if TYPE_CHECKING:
    import argparse

READABLE = (
    "WARNING: the backup is not encrypted. Whoever can read it has this server: its certificate authority, the online "
    "keys of releases, every token's hash, and secret.key, which opens all of them."
)


def backup(options: argparse.Namespace) -> int:
    """Write a backup; say what is in it."""
    os.umask(PRIVATE)
    configure_logs("warning")
    folder = DataFolder(options.data.resolve())
    check_initialised(folder)
    passphrase = passphrase_of(options.passphrase_file)
    request = BackupRequest(options.out.resolve(), passphrase, artefacts=not options.without_artefacts)
    made = asyncio.run(back_up(folder, folder.database_url, request, SystemClock()))
    say(f"{request.out}: {made.rows} rows, {made.files} files, {made.bytes} bytes.")
    if passphrase is None:
        say(READABLE)
    if options.without_artefacts:
        say("The bytes of releases are not in it: keep a copy of the folder artefacts, or publish them again.")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Make a data folder; say what the server starts with."""
    os.umask(PRIVATE)
    configure_logs("warning")
    request = RestoreRequest(options.data, options.source, passphrase_of(options.passphrase_file), tuple(options.stops))
    made = asyncio.run(restore_from(request, SystemClock(), SystemIds()))
    recovery = made.recovery
    say(f"The data folder is {made.folder.path}; the backup was taken at {recovery.taken_at:%Y-%m-%dT%H:%M:%SZ}.")
    if recovery.stops_read:
        say(f"Stops that are newer than the backup: {made.stops}; the first start carries them out.")
        if made.damaged_stops:
            say(f"Lines of the file that are damaged and were passed over: {made.damaged_stops}.")
    else:
        say("No stops.log was given: what was stopped since then is not known here.")
        say(f"Join tokens that are suspended for it: {recovery.suspended_tokens}.")
    if not made.artefacts:
        say("The bytes of releases are not in the backup: copy the folder artefacts, or publish them again.")
    say("The server starts in recovery: it offers nothing until an admin ends it (fleetroll recovery show).")
    return 0
