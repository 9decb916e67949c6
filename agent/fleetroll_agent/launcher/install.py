"""The first record of a host, written by enrolment while it holds the state's lock (``lock.StateLock``)."""

import os

from fleetroll_agent.launcher import files
from fleetroll_agent.launcher.bootid import read_boot_id
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.record import encode
from fleetroll_agent.launcher.values import Record, SlotRef


def first_record(state: str, slot: str, version: str, digest: str, interpreter: str, abi: str) -> Record:
    """Write the record that makes ``slot`` the current version, then its hint; durable on return.

    Args:
        state: the agent's state folder; the caller MUST hold its lock.
        slot: name of a complete folder below ``slots/agent``.
        version: of the release in it.
        digest: SHA-256 of its artefact.
        interpreter: absolute path of the Python that runs it.
        abi: of that Python, such as ``cp311``.

    Raises:
        LauncherError: there is a record already (ALREADY_EXISTS), or the slot is not what was said (ENTRY_MISSING).
        OSError: the disk refused.
    """
    path = files.record_path(state)
    if os.path.lexists(path):
        remedy = "nothing is to be done: the host is enrolled"
        raise LauncherError("{} exists already".format(path), "ALREADY_EXISTS", remedy)
    facts = files.read_slot(state, slot)
    if facts is None or (facts.version, facts.digest, facts.abi) != (version, digest, abi):
        message = "slot {} does not hold {}, complete".format(slot, version)
        raise LauncherError(message, "ENTRY_MISSING", "enrol again: the agent is unpacked anew")
    record = Record(
        seq=1,
        current=SlotRef(slot, version, digest, os.path.abspath(interpreter), abi),
        boot_id=read_boot_id(),
    )
    files.replace_file(path, encode(record))
    files.mark_good(state, slot, record.seq)
    return record
