"""What a new version proves about itself before anything is switched: it loads, its libraries work, it reads the state.

Reads only: nothing may be changed by code that has not earned its place yet.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import zstandard

from fleetroll_agent import daemon, enrol
from fleetroll_agent.jobs.keeper import ProductFile
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


def self_check(folder: Path) -> dict[str, str]:
    """Return version and commit of this program.

    Raises:
        FleetrollError: something that a start would need does not work here.
    """
    _check_libraries()
    ProductFile(folder).read()
    read_settings(folder)
    info = build_info()
    return {"version": str(info.version), "sha": info.git_sha}


def _check_libraries() -> None:
    """Let the libraries do what they are for: compiled ones, and the zones, which are data."""
    find_zone("Europe/Berlin")
    seed = hashlib.sha256(b"self-test").digest()
    signing.verify(signing.public_key(seed), b"self-test", signing.sign(seed, b"self-test"))
    packed = zstandard.ZstdCompressor().compress(seed)
    if zstandard.ZstdDecompressor().decompress(packed) != seed:
        message = "the compression library does not give back what it was given"
        raise AgentError(message, code=Code.SELF_TEST_FAILED, remedy="install the release again")
