"""The agent's footprint on a host: memory, processor time while nothing happens, and the time of a start.

Run by ``make bench-agent``. A real server, a real release with its byte code, a host that was enrolled with it and has
a product to keep; the launcher is started as its service starts it. Beside it, the same Python that only sleeps, and
one that has imported gRPC from the same slot: what no agent in this language, and none with this library, can go below.

Other programs on this machine map the same files and make the proportional share (``pss``, what the goal names) smaller
than it is on a host that runs nothing else in Python; ``alone`` is what it is there. Of both only ``private`` is
memory that the kernel can't take back: the rest is pages of files.

Ends with one line of JSON: memory in bytes, ``start`` in seconds from the launcher's exec (medians), ``cpu`` in seconds
of processor, ``idle`` per minute with an open session, ``artefact_bytes`` as published, ``met`` goal by goal. "No
measurable" processor time is taken for less than a thousandth of a core, which a host's own tools show as none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.footprint import Memory, cpu_seconds, memory, threads, wake_ups

from fleetroll_cli.publish import publish_one
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.artefact import RELEASE_LEVEL
from fleetroll_server.init import InitRequest, initialise
from tests.e2e.fleet.fleet import Fleet
from tests.e2e.fleet.processes import AGENT, run
from tests.e2e.fleet.releases import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON = os.path.realpath(sys.executable)
ALONE = (PYTHON, "-I", "-S", "-B")
"""How the service starts the launcher, and the launcher the agent."""
MEMORY_GOAL_BYTES = 45_000_000
START_GOAL_SECONDS = 0.5
IDLE_GOAL_SHARE = 0.001
LIMIT_SECONDS = 60.0
SETTLE_SECONDS = 10.0
"""After the session opened: the state has been exchanged, nothing is left to do."""
VERSION = "1.0.0"
SETTINGS = """
[products.shop]
kind = "slots"
[products.shop.health]
command = ["/bin/true"]
"""


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds from the launcher's exec to the first beat and to the open session; processor time of both."""

    first_beat: float
    session_open: float
    cpu: float


class Running:
    """A launcher and its agent, started as a service manager does, which hears of the first beat."""

    def __init__(self, state: Path, command: Sequence[str]) -> None:
        """Start; return with the session open."""
        log = state / "agent.log"
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(f"{folder}/notify")
            ear.settimeout(LIMIT_SECONDS)
            # Not a word of this project's environment: a service has none of it.
            around = {"PATH": os.defpath, "NOTIFY_SOCKET": f"{folder}/notify"}
            began, wall = time.monotonic(), time.time()
            with (state / "launcher.out").open("ab") as out:
                self._process = subprocess.Popen(  # noqa: S603 (our own program)
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=around
                )
            try:
                while b"READY=1" not in ear.recv(4096):
                    pass
                beat = time.monotonic() - began
                opened = _opened(log) - wall
                self.pids = (self._process.pid, _child_of(state))
                self.start = Start(beat, opened, sum(map(cpu_seconds, self.pids)))
            except BaseException:
                self.end()
                raise

    def end(self) -> None:
        """Stop it in order."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def _opened(log: Path) -> float:
    """Return the instant at which the agent logged that its session is open."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        for line in (log.read_text("utf-8") if log.exists() else "").splitlines():
            if '"session_open"' in line:
                return datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
        time.sleep(0.02)
    message = f"no session was opened within {LIMIT_SECONDS:g} s: {log.read_text('utf-8')[-2000:]}"
    raise TimeoutError(message)


def _child_of(state: Path) -> int:
    """Return the agent's process id."""
    return int(json.loads((state / "launcher.status").read_bytes())["child_pid"])


def prepare(fleet: Fleet, level: int) -> tuple[Path, int]:
    """Start a server with one release and enrol a host; return its state folder and the artefact's size."""
    with contextlib.redirect_stdout(sys.stderr):
        initialise(InitRequest(fleet.data.path, fleet.folder / "root-keys"), SystemClock(), SystemIds())
    artefact = Workshop(fleet.folder).build(VERSION, level)
    fleet.start_server()
    publish_one(fleet.client, artefact, ("stable",))
    host = fleet.add_host("host")
    _ask("enroll", fleet.join_string(), "--name", host.name, state=host.state)
    (host.state / "agent.toml").write_text(SETTINGS)
    _ask("service", "install", "--init", "none", "--python", PYTHON, state=host.state)
    return host.state, artefact.stat().st_size


def _ask(*words: str, state: Path) -> None:
    """Run a command of the agent."""
    done = run(*AGENT, *words, "--state", str(state))
    if done.code != 0:
        raise RuntimeError(done.said)


def measure(state: Path, command: Sequence[str], starts: int, minutes: float) -> dict[str, Any]:
    """Start some times, then hold a session open, idle for ``minutes`` if any; return what that cost."""
    found = []
    for _ in range(starts):
        running = Running(state, command)
        found.append(running.start)
        running.end()
    running = Running(state, command)
    try:
        time.sleep(SETTLE_SECONDS)
        idle = {"idle": _idle(running.pids, minutes)} if minutes else {}
        return {
            "start": {
                name: round(statistics.median(getattr(one, name) for one in found), 3)
                for name in ("first_beat", "session_open", "cpu")
            },
            "memory": asdict(memory(running.pids)),
            "launcher": asdict(memory(running.pids[:1])),
            "agent": asdict(memory(running.pids[1:])),
            "threads": [threads(pid) for pid in running.pids],
            **idle,
        }
    finally:
        running.end()


def _idle(pids: Sequence[int], minutes: float) -> dict[str, Any]:
    """Return what the processes use per minute while nothing happens."""
    used, woken = [cpu_seconds(pid) for pid in pids], [wake_ups(pid) for pid in pids]
    time.sleep(60.0 * minutes)
    used = [cpu_seconds(pid) - before for pid, before in zip(pids, used, strict=True)]
    woken = [wake_ups(pid) - before for pid, before in zip(pids, woken, strict=True)]
    return {
        "cpu": round(sum(used) / minutes, 4),
        "launcher_cpu": round(used[0] / minutes, 4),
        "agent_cpu": round(used[1] / minutes, 4),
        "wake_ups": [round(count / minutes) for count in woken],
    }


def baseline(words: str, starts: int) -> dict[str, Any]:
    """Return memory and start of a Python that does ``words``, and then nothing more."""
    code = f"{words}; import sys, time; sys.stdout.write('.'); sys.stdout.flush(); time.sleep(1000)"
    took, used, held = [], [], Memory(0, 0, 0, 0)
    for _ in range(starts):
        began = time.monotonic()
        with subprocess.Popen(  # noqa: S603 (fixed words)
            (*ALONE, "-c", code), stdout=subprocess.PIPE, env={"PATH": os.defpath}
        ) as child:
            try:
                if child.stdout is None or child.stdout.read(1) != b".":
                    message = f"the baseline ended: {words}"
                    raise RuntimeError(message)
                took.append(time.monotonic() - began)
                used.append(cpu_seconds(child.pid))
                held = memory([child.pid])
            finally:
                child.kill()
    start = {"ready": round(statistics.median(took), 3), "cpu": round(statistics.median(used), 3)}
    return {"start": start, "memory": asdict(held)}


def _tell(name: str, run: dict[str, Any], bare: dict[str, Any]) -> None:
    """Print one line about a run."""
    held, start = run["memory"], run["start"]
    ready = start.get("session_open", start.get("ready"))
    beat = f", first beat {start['first_beat']:.2f} s" if "first_beat" in start else ""
    sys.stdout.write(
        f"{name:22} {held['alone'] / 1e6:5.1f} MB alone ({held['alone'] / bare['memory']['alone']:.1f} x bare), "
        f"pss {held['pss'] / 1e6:5.1f} MB, private {held['private'] / 1e6:5.1f} MB, rss {held['rss'] / 1e6:5.1f} MB; "
        f"ready {ready:.2f} s ({ready / bare['start']['ready']:.0f} x bare){beat}, cpu {start['cpu']:.2f} s\n"
    )
    for part in ("launcher", "agent"):
        if part in run:
            each = run[part]
            sys.stdout.write(
                f"{'':12} {part:9} {each['alone'] / 1e6:5.1f} MB alone, pss {each['pss'] / 1e6:5.1f} MB, "
                f"private {each['private'] / 1e6:5.1f} MB\n"
            )
    if "idle" in run:
        idle = run["idle"]
        sys.stdout.write(
            f"{'':22} idle {1000 * idle['cpu']:.1f} ms of processor a minute "
            f"(launcher {1000 * idle['launcher_cpu']:.1f}, agent {1000 * idle['agent_cpu']:.1f}), "
            f"woken {idle['wake_ups']} times, threads {run['threads']}\n"
        )
    sys.stdout.flush()


def measure_all(fleet: Fleet, minutes: float, starts: int, level: int) -> dict[str, Any]:
    """Return what the agent costs, started by its service and by hand, and what the two baselines do."""
    state, size = prepare(fleet, level)
    slot = next(path for path in (state / "slots" / "agent").iterdir() if path.is_dir())
    bare = baseline("pass", starts)
    _tell("bare python", bare, bare)
    grpc = baseline(f"import sys; sys.path.insert(0, {str(slot)!r}); import grpc.aio", starts)
    _tell("python with grpc", grpc, bare)
    ends = ("run", "--state", str(state))
    agent = measure(state, (*ALONE, str(state / "launcher" / "fleetroll_launcher.py"), *ends), starts, minutes)
    _tell("launcher and agent", agent, bare)
    by_hand = measure(state, (*ALONE, str(slot / "entry.py"), *ends), starts, 0)
    _tell("the same, by hand", by_hand, bare)
    sys.stdout.write(f"artefact {size / 1e6:.1f} MB\n")
    return {"bare": bare, "grpc": grpc, "agent": agent, "by_hand": by_hand, "artefact_bytes": size}


def judge(agent: dict[str, Any]) -> dict[str, bool]:
    """Print of every goal whether it is met, and return that."""
    memory_goal = f"memory: pss of both at most {MEMORY_GOAL_BYTES / 1e6:g} MB"
    start_goal = f"start: a session within {START_GOAL_SECONDS:g} s"
    idle_goal = f"idle: at most {60_000 * IDLE_GOAL_SHARE:g} ms of processor a minute"
    met = {
        memory_goal: agent["memory"]["pss"] <= MEMORY_GOAL_BYTES,
        start_goal: agent["start"]["session_open"] <= START_GOAL_SECONDS,
        idle_goal: agent["idle"]["cpu"] / 60 <= IDLE_GOAL_SHARE,
    }
    for goal, held in met.items():
        sys.stdout.write(f"goal {goal}: {'met' if held else 'NOT met'}\n")
    return {goal.partition(":")[0]: held for goal, held in met.items()}


def main(minutes: float, starts: int, level: int) -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="fleetroll-bench-") as folder:
        fleet = Fleet(Path(folder))
        try:
            found = measure_all(fleet, minutes, starts, level)
        finally:
            fleet.end()
    sys.stdout.write(json.dumps({**found, "met": judge(found["agent"])}) + "\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=1.0, help="of idleness (1)")
    options.add_argument("--starts", type=int, default=7, help="of which the median is taken (7)")
    options.add_argument("--level", type=int, default=RELEASE_LEVEL, help="of the artefact's compression (19)")
    given = options.parse_args()
    main(given.minutes, given.starts, given.level)
