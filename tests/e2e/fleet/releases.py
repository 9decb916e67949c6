"""Releases of the agent: this source, and copies of it with mistakes such as people make.

A bad release is another program, not this one told to fail: its source differs, so its signed bytes differ.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fleetroll_cli.building import Wish, build_release
from tests.faults.kept_byte_code import kept_byte_code

ROOT = Path(__file__).resolve().parents[3]
TREES = ("agent", "common", "generated")
LEVEL = 1
DAEMON, SELF_CHECK = "agent/fleetroll_agent/daemon.py", "agent/fleetroll_agent/self_check.py"

GOOD = "1.1.0"
DIES_AT_START = "1.2.0"
HANGS_AT_START = "1.2.1"
HANGS = "1.3.0"
DIES_ON_SOME = "1.2.2"
DIES_IN_SOAK = "1.4.0"
FAILS_SELF_TEST = "1.5.0"
OTHER_VERSION = "1.6.0"
UNHEALTHY = "1.7.0"
OTHER_NAME = "1.8.0"
CALLED = "1.0.5"
"""What :data:`OTHER_NAME` calls itself: its self-test and its launcher believe that it is what was signed."""
NO_FROBNICATOR = "no-frobnicator"
"""A file in the state folder of a host that has none: :data:`DIES_ON_SOME` works everywhere else."""


@dataclass(frozen=True)
class Mistake:
    """Lines that somebody added at the end of a module."""

    path: str
    lines: str


MISTAKES = {
    DIES_AT_START: Mistake(
        DAEMON,
        """
async def run_daemon(folder: Path, pipe_option: str) -> int:
    log.error("no_such_device", device="/dev/frobnicator")
    return 3
""",
    ),
    HANGS_AT_START: Mistake(
        DAEMON,
        """
async def run_daemon(folder: Path, pipe_option: str) -> int:
    import time
    log.error("waiting_for_device", device="/dev/frobnicator")
    while True:
        time.sleep(60)
""",
    ),
    DIES_ON_SOME: Mistake(
        DAEMON,
        f"""
_without_devices = run_daemon
async def run_daemon(folder: Path, pipe_option: str) -> int:
    if (folder / "{NO_FROBNICATOR}").exists():
        log.error("no_such_device", device="/dev/frobnicator")
        return 3
    return await _without_devices(folder, pipe_option)
""",
    ),
    HANGS: Mistake(
        DAEMON,
        """
def _and_then_hang(self: Daemon, first: Any = Daemon.welcomed) -> None:
    import time
    first(self)
    log.error("waiting_for_lock", holder="nobody")
    while True:
        time.sleep(60)
Daemon.welcomed = _and_then_hang
""",
    ),
    DIES_IN_SOAK: Mistake(
        DAEMON,
        """
def _and_then_die(self: Daemon, first: Any = Daemon.welcomed) -> None:
    first(self)
    log.error("no_memory_left", wanted="2 GiB")
    asyncio.get_running_loop().call_later(1.0, self._end, 4)
Daemon.welcomed = _and_then_die
""",
    ),
    FAILS_SELF_TEST: Mistake(
        SELF_CHECK,
        """
def _check_libraries() -> None:
    raise AgentError("libfrob.so.2 is missing", code=Code.SELF_TEST_FAILED, remedy="install it")
""",
    ),
    OTHER_VERSION: Mistake(
        SELF_CHECK,
        """
def self_check(folder: Path) -> dict[str, str]:
    return {"version": "1.5.9", "sha": build_info().git_sha}
""",
    ),
    UNHEALTHY: Mistake(
        DAEMON,
        """
Daemon.healthy = property(lambda self: not self._welcomed)
""",
    ),
    OTHER_NAME: Mistake(
        DAEMON,
        f"""
def check_name(parts: Parts, record: Record) -> None:
    pass
def assemble(folder: Path, where: Any = assemble) -> Parts:
    import dataclasses
    return dataclasses.replace(where(folder), calls_itself="{CALLED}")
""",
    ),
}
"""By version: what is wrong with it."""


class Workshop:
    """A copy of this source tree in which releases are made, one commit each."""

    def __init__(self, folder: Path) -> None:
        """Copy the tree into ``folder`` and commit it."""
        self._tree = folder / "tree"
        self._out = folder / "artefacts"
        for name in TREES:
            shutil.copytree(ROOT / name, self._tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        self._git("init", "-q")
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "as it is")

    def build(self, version: str, level: int = LEVEL) -> Path:
        """Make the artefact of ``version``, with the mistake that it has, if any, compressed at ``level``."""
        mistake = MISTAKES.get(version)
        if mistake is not None:
            with (self._tree / mistake.path).open("a", encoding="utf-8") as file:
                file.write(mistake.lines)
            self._git("commit", "-q", "-a", "-m", version)
        wish = Wish("agent", version, "", "", "", level)
        with kept_byte_code():
            artefact = build_release(wish, self._out, path=None, source=self._tree)
        if mistake is not None:
            self._git("reset", "-q", "--hard", "HEAD~1")
        return artefact

    def _git(self, *words: str) -> None:
        who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, "-C", self._tree, *words], check=True, capture_output=True, timeout=60)
