"""What a new version proves about itself before anything is switched: it loads, its libraries work, it reads the state.

Reads only: nothing may be changed by code that has not earned its place yet.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import zstandard

from fleetroll_agent import daemon, enrol
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.launcher import files
from fleetroll_agent.settings import read_settings
from fleetroll_common.buildinfo import build_info
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.zones import find_zone
from fleetroll_common.wire import signing

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = (daemon, enrol)
"""Importing these two imports all of the agent and every library that it uses."""
OLDEST_LAUNCHER = 1
"""The lowest level of a launcher (``launcher.versions.LEVEL``) that this agent works with."""


def self_check(folder: Path) -> dict[str, str]:
    """Return version and commit of this program.

    Raises:
        AgentError: VERSION_MISMATCH: this host's launcher is too old for this program, which is not at fault.
        FleetrollError: something that a start would need does not work here.
    """
    check_launcher(launcher_level(folder))
    _check_libraries()
    ProductFile(folder).read()
    read_settings(folder)
    info = build_info()
    return {"version": str(info.version), "sha": info.git_sha}


def check_launcher(level: int, oldest: int = OLDEST_LAUNCHER) -> None:
    """Refuse to be started by a launcher below the level ``oldest``.

    Raises:
        AgentError: VERSION_MISMATCH.
    """
    if level < oldest:
        message = f"the launcher of this host has level {level}, this version needs {oldest}"
        remedy = "upgrade the launcher first: fleetroll-agent launcher-upgrade --state DIR"
        raise AgentError(message, code=Code.VERSION_MISMATCH, remedy=remedy)


def launcher_level(folder: Path) -> int:
    """Return the level that the launcher of the state folder told last; 1 where it told none."""
    try:
        told = json.loads(files.read_small(str(folder / files.STATUS_NAME)) or b"{}")
        level = told.get("launcher_level", 1)
    except (OSError, ValueError, AttributeError):
        return 1
    return level if isinstance(level, int) else 1


def _check_libraries() -> None:
    """Let the libraries do what they are for: compiled ones, and the zones, which are data."""
    find_zone("Europe/Berlin")
    seed = hashlib.sha256(b"self-test").digest()
    signing.verify(signing.public_key(seed), b"self-test", signing.sign(seed, b"self-test"))
    packed = zstandard.ZstdCompressor().compress(seed)
    if zstandard.ZstdDecompressor().decompress(packed) != seed:
        message = "the compression library does not give back what it was given"
        raise AgentError(message, code=Code.SELF_TEST_FAILED, remedy="install the release again")
