"""The launcher's own place: ``<state>/launcher`` with whole copies of the launcher, and the line that names one.

```
launcher/fleetroll_launcher.py   the starter: what the service starts; replaced by `service install` alone
launcher/current                 one line with a CRC: the program, the one before it, and the trial's id
launcher/programs/NAME/          fleetroll_agent/launcher/*.py, their byte code, COMPLETE (hash of every file), KEPT
```

A folder can't be put in another one's place in one step, so none ever is: a copy is made beside the others, is complete
only with its last file, and is reached by replacing the one line. The starter's rules say what is started when the line
or a copy is damaged. No link decides anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import marshal
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fleetroll_agent
from fleetroll_agent.launcher import own, starter
from fleetroll_agent.launcher.lock import StateLock
from fleetroll_agent.slots.disk import RealDisk, remove_tree, typed_disk_errors
from fleetroll_common.buildinfo import build_info
from fleetroll_common.durable import sync_dir, write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_agent.launcher.starter import Choice

_LOCK_SECONDS = 10.0
_UNCHECKED_HASH = (1).to_bytes(4, "little")
"""PEP 552: the header of byte code holds the source's hash, and nobody compares it."""
_CONSTANTS = re.compile(r'^(LEVEL|AGENTS_FROM) = "?([0-9A-Za-z.+-]+)"?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """A launcher to copy.

    Attributes:
        version: of the build that it comes from, as people are shown it.
        level: see ``launcher.versions.LEVEL``.
        agents_from: the oldest agent that it runs.
        files: content by path below the copy.
    """

    version: str
    level: int
    agents_from: str
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Return the name of its folder: the version and eight digits of the content."""
        whole = hashlib.sha256()
        for path, data in sorted(self.files.items()):
            whole.update(f"{path} {hashlib.sha256(data).hexdigest()}\n".encode())
        return f"{re.sub('[^0-9A-Za-z.+_-]', '-', self.version)[:64]}-{whole.hexdigest()[:8]}"


def running_source(package: Path | None = None) -> Source:
    """Return the launcher of this program, or of the package ``fleetroll_agent`` in the folder ``package``.

    Raises:
        AgentError: OWN_PATH_UNRESOLVED: its own files can't be found; nothing is copied then.
    """
    folder = package or Path(fleetroll_agent.__file__ or "").resolve().parent
    try:
        names = [folder / "__init__.py", *sorted((folder / "launcher").glob("*.py"))]
        files = {f"fleetroll_agent/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in names}
        constants = dict(_CONSTANTS.findall(files["fleetroll_agent/launcher/versions.py"].decode()))
        return Source(build_info().shown, int(constants["LEVEL"]), constants["AGENTS_FROM"], files)
    except (OSError, KeyError, ValueError) as error:
        text = f"the launcher's files can't be found beside this program in {folder}"
        remedy = "run it from an installed package or a complete slot"
        raise AgentError(text, code=Code.OWN_PATH_UNRESOLVED, remedy=remedy) from error


class Place:
    """The launcher's own place of one state folder."""

    def __init__(self, state: Path) -> None:
        """Name it; nothing is read yet."""
        self.folder = state / own.PLACE_NAME
        self.starter = self.folder / starter.FILE_NAME

    def lock(self) -> StateLock:
        """Return the lock of the place: whoever changes ``current`` MUST hold it."""
        return StateLock(str(self.folder), _LOCK_SECONDS)

    def choice(self) -> Choice | None:
        """Return what ``current`` says; None when nothing legible is there."""
        return starter.read_choice(str(self.folder))

    def complete(self, name: str) -> bool:
        """Tell whether the program is there, every file as it was made."""
        return starter.read_program(str(self.folder), name) is not None

    def usable(self) -> str:
        """Return the name of the program that the starter would take, tries apart; empty when there is none."""
        return next((name for name in starter.order(str(self.folder)) if self.complete(name)), "")

    def make(self) -> None:
        """Make the folders, for their owner alone, durable."""
        with typed_disk_errors(f"making {self.folder}"):
            (self.folder / starter.PROGRAMS).mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_dir(self.folder)
            sync_dir(self.folder.parent)

    def write_starter(self, source: Source) -> bool:
        """Put the starter of ``source`` in place; return whether it is another one than before."""
        data = source.files["fleetroll_agent/launcher/starter.py"]
        with typed_disk_errors(f"writing {self.starter}"):
            if self.starter.is_file() and not self.starter.is_symlink() and self.starter.read_bytes() == data:
                return False
            write_durably(self.starter, data, 0o600)
        return True

    def add(self, source: Source) -> str:
        """Make a complete copy of ``source`` and return its name; one that is there already is left alone.

        The order: files, their folders, COMPLETE, and last the copy's own name in ``programs``.
        """
        name = source.name
        if self.complete(name):
            return name
        folder = self.folder / starter.PROGRAMS / name
        with typed_disk_errors(f"copying the launcher to {folder}"):
            number = self._next_number()
            remove_tree(RealDisk(), folder)
            files = {**source.files, **_byte_code(source)}
            for inner in sorted({(folder / path).parent for path in files}):
                inner.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path, data in files.items():
                write_durably(folder / path, data, 0o600)
            sync_dir(folder / "fleetroll_agent" / "launcher")
            sync_dir(folder / "fleetroll_agent")
            sync_dir(folder)
            write_durably(folder / starter.COMPLETE, _complete(source, files, number), 0o600)
            sync_dir(folder.parent)
        return name

    def choose(self, choice: Choice) -> None:
        """Make ``choice`` what the starter reads, durably; the caller MUST hold the lock."""
        with typed_disk_errors("writing the launcher's record"):
            if choice.trial:
                write_durably(self.folder / starter.RECORD_NAME, starter.encode(choice), 0o600)
            else:
                own.write_kept(str(self.folder), choice)

    def prune(self) -> None:
        """Remove every program but the two that ``current`` names; the caller MUST hold the lock."""
        choice = self.choice()
        if choice is None or choice.trial:
            return
        programs = self.folder / starter.PROGRAMS
        with typed_disk_errors("removing old launchers"):
            for folder in sorted(programs.iterdir()):
                if folder.name not in choice[:2]:
                    (folder / starter.COMPLETE).unlink(missing_ok=True)
                    remove_tree(RealDisk(), folder)

    def _next_number(self) -> int:
        found = (self.folder / starter.PROGRAMS).iterdir()
        facts = [starter.read_program(str(self.folder), folder.name) for folder in found]
        return 1 + max((known["number"] for known in facts if known is not None), default=0)


def _byte_code(source: Source) -> dict[str, bytes]:
    """Return the byte code of the modules for this interpreter, by path: without it each start compiles them anew.

    COMPLETE vouches for it as for the source, so Python does not compare the two; another version passes it over. A
    module that is no Python of this version is the trial's finding, not ours.
    """
    found: dict[str, bytes] = {}
    for path, data in source.files.items():
        if not path.endswith(".py"):
            continue
        with contextlib.suppress(SyntaxError, ValueError):
            code = compile(data, path, "exec", dont_inherit=True, optimize=0)
            header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(data)
            found[importlib.util.cache_from_source(path, optimization="")] = header + marshal.dumps(code)
    return found


def _complete(source: Source, files: Mapping[str, bytes], number: int) -> bytes:
    facts: dict[str, Any] = {
        "version": source.version,
        "level": source.level,
        "agents_from": source.agents_from,
        "number": number,
        "files": {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())},
    }
    return json.dumps(facts, sort_keys=True).encode() + b"\n"
