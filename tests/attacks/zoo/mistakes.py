"""What is wrong with each release of the zoo: another source, other libraries, another stamp; never a switch in ours.

A release is named by its version. Lines are added at the end of a module, the way somebody's last commit would.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAEMON = "fleetroll_agent/daemon.py"
SELF_CHECK = "fleetroll_agent/self_check.py"
PARTS = "fleetroll_agent/parts.py"

GOOD = "1.1.0"
NO_MODULE = "2.0.0"
NO_LIBRARY = "2.1.0"
OTHER_MACHINE = "2.2.0"
OTHER_STAMP = "2.3.0"
NO_LIBRARY_AT_START = "3.0.0"
OTHER_FOLDER = "3.1.0"
OTHER_IDENTITY = "3.2.0"
LIES_TO_SELF_TEST = "3.3.0"
LIES_TO_LAUNCHER = "3.4.0"
HANGS_AT_START = "4.0.0"
HANGS = "4.1.0"
DEAF = "4.2.0"
NEVER_CONNECTS = "5.0.0"
NEVER_READS = "5.1.0"
CRASHES = "6.0.0"
EXITS_WITH_0 = "6.1.0"
EATS_MEMORY = "6.2.0"
CRASHES_LATER = "7.0.0"

STAMPED = "1.0.5"
"""What releases that were built as something else call themselves."""
RISC_V = 243
"""An ELF machine number that no host of these tests has."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong.

    Attributes:
        lines: by module, added at its end.
        without: the file of this suffix below this package is missing.
        of_other_machine: that file was built for another machine.
        stamped: the version that was stamped into it; empty = its own.
    """

    lines: dict[str, str] = field(default_factory=dict)
    without: tuple[str, str] | None = None
    of_other_machine: tuple[str, str] | None = None
    stamped: str = ""


_PRETENDS = {
    SELF_CHECK: """

def self_check(folder: Path) -> dict[str, str]:
    import fleetroll_agent
    slot = fleetroll_agent.__file__.split("/")[-3]
    return {"version": slot.rpartition("-")[0], "sha": build_info().git_sha}
"""
}
"""A self-test that looks up what is wanted instead of what there is."""

MISTAKES = {
    GOOD: Mistake(),
    NO_MODULE: Mistake({DAEMON: "\nimport frobnicator_client\n"}),
    NO_LIBRARY: Mistake(without=("nacl/", ".so")),
    OTHER_MACHINE: Mistake(of_other_machine=("zstandard/", ".so")),
    OTHER_STAMP: Mistake(stamped=STAMPED),
    NO_LIBRARY_AT_START: Mistake(
        {
            DAEMON: """

async def run_daemon(folder: Path, pipe_option: str) -> int:
    import ctypes
    return int(ctypes.CDLL("libfrobnicator.so.9").run())
"""
        }
    ),
    OTHER_FOLDER: Mistake(
        {
            DAEMON: """

def assemble(folder: Path, where: Any = assemble) -> Parts:
    return where(folder / "data")
"""
        }
    ),
    OTHER_IDENTITY: Mistake(
        {
            PARTS: """

def IdentityStore(folder: Path, ids: SystemIds, store: type = IdentityStore) -> Any:
    return store(folder.with_name("keys"), ids)
"""
        }
    ),
    LIES_TO_SELF_TEST: Mistake(_PRETENDS, stamped=STAMPED),
    LIES_TO_LAUNCHER: Mistake(
        {**_PRETENDS, DAEMON: "\n\ndef check_name(parts: Parts, record: Record) -> None:\n    pass\n"}, stamped=STAMPED
    ),
    HANGS_AT_START: Mistake(
        {
            DAEMON: """

async def run_daemon(folder: Path, pipe_option: str) -> int:
    import time
    log.error("waiting_for_device", device="/dev/frobnicator")
    while True:
        time.sleep(60)
"""
        }
    ),
    HANGS: Mistake(
        {
            DAEMON: """

def _and_then_hang(self: Daemon, first: Any = Daemon.welcomed) -> None:
    import time
    first(self)
    log.error("waiting_for_lock", holder="nobody")
    while True:
        time.sleep(60)
Daemon.welcomed = _and_then_hang
"""
        }
    ),
    DEAF: Mistake(
        {
            DAEMON: """

def _not_now(self: Daemon, reason: str, exit_code: int) -> None:
    log.error("not_now", reason=reason)
Daemon._begin_leaving = _not_now
Daemon.healthy = property(lambda self: not self._welcomed)
"""
        }
    ),
    NEVER_CONNECTS: Mistake(
        {
            "fleetroll_agent/session/channel.py": """

def connected(address: str, ca_pem: bytes) -> Any:
    raise OSError(101, "Network is unreachable")
"""
        }
    ),
    NEVER_READS: Mistake(
        {
            "fleetroll_agent/session/stream.py": """

async def _read_nothing(self: Stream) -> None:
    await asyncio.Event().wait()
Stream._read_all = _read_nothing
"""
        }
    ),
    CRASHES: Mistake(
        {
            DAEMON: """

def _and_then_crash(self: Daemon, first: Any = Daemon.welcomed) -> None:
    import ctypes
    first(self)
    asyncio.get_running_loop().call_later(0.3, ctypes.string_at, 1)
Daemon.welcomed = _and_then_crash
"""
        }
    ),
    EXITS_WITH_0: Mistake(
        {
            DAEMON: """

async def run_daemon(folder: Path, pipe_option: str) -> int:
    log.info("nothing_to_do")
    return 0
"""
        }
    ),
    EATS_MEMORY: Mistake(
        {
            DAEMON: """

async def _eat(self: Daemon, beat: Any = Daemon._beat) -> None:
    import resource
    beats = asyncio.create_task(beat(self))
    while not self._welcomed:
        await asyncio.sleep(0.02)
    limit, kept = resource.getrlimit(resource.RLIMIT_DATA)[0], []
    try:
        while True:
            kept.append(bytearray(16 << 20))
            await asyncio.sleep(0)
    except MemoryError as error:
        had = len(kept) << 24
        kept.clear()
        raise MemoryError(f"stopped by the limit of {limit} bytes: {had < limit < had + (512 << 20)}") from error
Daemon._beat = _eat
"""
        }
    ),
    CRASHES_LATER: Mistake(
        {
            DAEMON: """

def _fall(self: Daemon, record: Record, first: Any = Daemon._boot_record) -> None:
    first(self, record)
    if record.trial is None:
        log.error("no_memory_left", wanted="2 GiB")
        asyncio.get_running_loop().call_later(0.3, self._end, 4)
Daemon._boot_record = _fall
"""
        }
    ),
}
"""By version: what is wrong with it; nothing with the good one."""
