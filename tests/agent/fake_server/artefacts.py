"""Real artefacts of the agent: as it is, or with a line that makes one version fail the way a real mistake would."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.buildinfo import BuildInfo
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.agent import ENTRY_POINT, agent_content
from fleetroll_publishing.artefact.build import write_artefact
from fleetroll_publishing.artefact.bytecode import add_byte_code
from tests.faults.kept_byte_code import kept_byte_code

if TYPE_CHECKING:
    from fleetroll_publishing.artefact import BuiltArtefact

SOURCE = Path(__file__).resolve().parents[3]
BUILT_AT = datetime(2026, 1, 1, tzinfo=UTC)

DIES_AT_START = """

async def run_daemon(folder: Path, pipe_option: str) -> int:
    log.error("no_frobnicator", device="/dev/frobnicator")
    return 3
"""
"""Passes its self-test, which only loads it, and dies at every start as a service."""

DIES_AFTER_HELLO = """

async def run_daemon(folder: Path, pipe_option: str) -> int:
    fds = ChildEnd.parse_option(pipe_option)
    daemon = Daemon(await asyncio.to_thread(assemble, folder), fds)
    work = asyncio.ensure_future(daemon.run())
    while not daemon._welcomed:
        await asyncio.sleep(0.05)
    log.error("no_memory_left", wanted="2 GiB")
    return 4
"""
"""Starts, says hello, and dies within its soak."""


def build(folder: Path, version: str, addition: str = "") -> BuiltArtefact:
    """Build the agent as ``version``, with ``addition`` at the end of its daemon module."""
    content = agent_content(SOURCE, BuildInfo(Version.parse(version), "0" * 40, BUILT_AT))
    if addition:
        path = "fleetroll_agent/daemon.py"
        mode, data = content.files[path]
        content.files[path] = (mode, data + addition.encode())
    with kept_byte_code():
        add_byte_code(content, without=frozenset({ENTRY_POINT}))
    return write_artefact(content, folder / f"agent-{version}.tar.zst", entry_point=ENTRY_POINT, level=1)
