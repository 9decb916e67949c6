"""Builds the releases of the zoo: real artefacts, each the same program but for its mistake."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fleetroll_common.buildinfo import STAMP_NAME, BuildInfo, stamp
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.agent import ENTRY_POINT, agent_content
from fleetroll_publishing.artefact.build import write_artefact
from fleetroll_publishing.artefact.bytecode import add_byte_code
from fleetroll_publishing.artefact.content import Content
from tests.agent.fake_server.artefacts import BUILT_AT, SOURCE
from tests.agent.fake_server.releases import Releases
from tests.attacks.zoo.mistakes import MISTAKES, RISC_V
from tests.faults.kept_byte_code import kept_byte_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fleetroll_publishing.artefact import BuiltArtefact
    from tests.attacks.zoo.mistakes import Mistake

OLD = "1.0.0"
STAMP = f"fleetroll_common/{STAMP_NAME}"
MACHINE_OFFSET = 18
"""Of ``e_machine``, two bytes, in an ELF header."""


def breed(folder: Path, versions: Iterable[str]) -> Releases:
    """Return a repository with :data:`OLD` in the channel stable, and ``versions`` in another."""
    plain = agent_content(SOURCE, _info(OLD))
    with kept_byte_code():
        add_byte_code(plain, without=frozenset({ENTRY_POINT}))
    releases = Releases()
    releases.publish(OLD, _write(plain, folder, OLD))
    for version in versions:
        releases.publish(version, _write(_with(plain, version, MISTAKES[version]), folder, version), ("beta",))
    return releases


def _with(plain: Content, version: str, mistake: Mistake) -> Content:
    """Return the release ``version``; what is changed is compiled again, the rest is as it was."""
    content, changed = Content(dict(plain.files)), Content()
    content.files[STAMP] = (0o644, stamp(_info(mistake.stamped or version)))
    for module, lines in mistake.lines.items():
        changed.add(module, plain.files[module][1] + lines.encode())
    if changed.files:
        add_byte_code(changed, without=frozenset())
    content.files |= changed.files
    if mistake.without is not None:
        del content.files[_path(content, mistake.without)]
    if mistake.of_other_machine is not None:
        path = _path(content, mistake.of_other_machine)
        mode, data = content.files[path]
        content.files[path] = (mode, _for_other_machine(data))
    return content


def _path(content: Content, named: tuple[str, str]) -> str:
    """Return the first file below a package that ends so."""
    return min(path for path in content.files if path.startswith(named[0]) and path.endswith(named[1]))


def _for_other_machine(library: bytes) -> bytes:
    order = "<H" if library[5] == 1 else ">H"
    return library[:MACHINE_OFFSET] + struct.pack(order, RISC_V) + library[MACHINE_OFFSET + 2 :]


def _info(version: str) -> BuildInfo:
    return BuildInfo(Version.parse(version), "0" * 40, BUILT_AT)


def _write(content: Content, folder: Path, version: str) -> BuiltArtefact:
    return write_artefact(content, folder / f"agent-{version}.tar.zst", entry_point=ENTRY_POINT, level=1)
