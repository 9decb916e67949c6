"""The agent's artefact: our own packages from a source tree, the allowed libraries from the running environment.

Architecture invariant: no server, console or publishing code reaches a host. What is taken is listed; a second list
names what must never be inside, for the day on which somebody widens the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, stamp
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_publishing.artefact.allowed import AGENT_DISTRIBUTIONS, add_distribution
from fleetroll_publishing.artefact.build import RELEASE_LEVEL, BuiltArtefact, write_artefact
from fleetroll_publishing.artefact.bytecode import add_byte_code
from fleetroll_publishing.artefact.content import Content

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from fleetroll_common.values.version import Version

ENTRY_POINT = "entry.py"
PRODUCT = "agent"

_PACKAGES = ("generated/fleetroll", "common/fleetroll_common", "agent/fleetroll_agent")
_ENTRY_SOURCE = "agent/fleetroll_agent/entry.py"
_FORBIDDEN = frozenset(
    {
        "aiosqlite",
        "alembic",
        "asyncpg",
        "cryptography",
        "fleetroll_cli",
        "fleetroll_client",
        "fleetroll_publishing",
        "fleetroll_server",
        "fleetroll_simulator",
        "fleetroll_tui",
        "pydantic",
        "sqlalchemy",
        "sqlmodel",
        "textual",
        "typer",
    }
)


def build_agent_artefact(
    out: Path,
    version: Version,
    git_sha: str,
    platform: Platform,
    *,
    source: Path,
    built_at: datetime,
    level: int = RELEASE_LEVEL,
) -> BuiltArtefact:
    """Build the agent at ``out``. Blocks for 1 s (level 3) to 20 s (level 19): call it in a thread.

    Args:
        out: the file to make; an existing one is replaced.
        version: stamped into it; the agent reports it.
        git_sha: the commit of ``source``, ``+dirty`` behind it when the tree has changes.
        platform: MUST be that of the running interpreter, whose libraries are taken and which compiles the modules.
        source: root of the source tree, with ``agent``, ``common`` and ``generated`` in it.
        built_at: the commit's own time (aware), so that the same commit gives the same bytes.
        level: of compression, 1 to 19.

    Raises:
        RequestError: another platform, a tree without our packages, or libraries are missing (caller's fault).
    """
    if platform != Platform.current():
        message = f"platform: {platform} can't be built here, this is {Platform.current()}"
        remedy = "build it with an interpreter of that platform"
        raise RequestError(message, code=Code.WRONG_PLATFORM, remedy=remedy, field="platform")
    content = agent_content(source, BuildInfo(version, git_sha, built_at))
    add_byte_code(content, without=frozenset({ENTRY_POINT}))
    return write_artefact(content, out, entry_point=ENTRY_POINT, level=level)


def agent_content(source: Path, info: BuildInfo) -> Content:
    """Return the files of the agent, stamped with ``info``. Errors as in :func:`build_agent_artefact`.

    Byte code comes last, when nothing is changed any more: a host does not compare it with its source.
    """
    content = Content()
    for package in _PACKAGES:
        _add_package(content, source, package)
    content.add_file(ENTRY_POINT, source / _ENTRY_SOURCE)
    content.add(f"fleetroll_common/{STAMP_NAME}", stamp(info))
    for allowed in AGENT_DISTRIBUTIONS:
        if allowed.is_needed():
            add_distribution(content, allowed)
    intruders = {path.split("/")[0] for path in content.files} & _FORBIDDEN
    if intruders:
        message = f"artefact: {', '.join(sorted(intruders))} must not reach a host"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="take it out of the allow-list", field="source")
    return content


def _add_package(content: Content, source: Path, package: str) -> None:
    """Add the modules of one of our packages; stubs, markers and byte code that lies around stay behind."""
    folder = source / package
    modules = sorted(folder.rglob("*.py"))
    if not modules:
        message = f"source: there is no {package} in it"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the root of the source tree", field="source")
    for module in modules:
        if module != source / _ENTRY_SOURCE:
            content.add_file(module.relative_to(folder.parent).as_posix(), module)
