"""Runs gates and test suites, some at a time, and prints the time of each.

Usage: suites.py check | test | NAME...

As many suites run side by side as there are processors, the long ones first, each in one process, and each shows what
it said when it has ended; a suite that was named alone has all processors. More processes than processors were no
faster: tests that wait for each other poll the longer. The demonstration has the machine to itself, and is seen live.
Beside the time stands how many processors a suite kept at work.

`check` is every gate, every test suite and the demonstration; `test` every test suite. A suite is one folder below
tests/ that holds tests, found by looking, so that no folder is forgotten; that nothing was collected is a failure. The
output of a gate is shown only when it fails. The exit status is 0 when all passed, 1 when something failed, 2 for a
name that does not exist.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest", "-q")
LANES = max(1, min(os.cpu_count() or 1, 4))
"""Processors that are used: suites that run at a time, or test processes of one that was named."""
LONG = ("server", "crash", "e2e", "tui", "agent", "attacks", "model")
"""Folders of tests/ that take longest, the longest first: begun last, one would be waited for alone."""
SOURCE_ROOTS = ("common", "publishing", "client", "server", "agent", "cli", "tui", "tools", "bench", "tests")


@dataclass(frozen=True, slots=True)
class Suite:
    """One command; `quiet` ones show their output only when they fail, one that is `alone` runs after all others."""

    name: str
    command: tuple[str, ...]
    quiet: bool
    alone: bool = False


def gates() -> list[Suite]:
    """Return the gates in the order of their speed: the cheap ones speak first."""
    tool = {name: str(BIN / name) for name in ("ruff", "mypy", "buf", "lint-imports")}
    rooms = [room for room in SOURCE_ROOTS if any((ROOT / room).rglob("*.py"))]
    commands = {
        "lint": (tool["ruff"], "check", "--quiet", "."),
        "format": (tool["ruff"], "format", "--quiet", "--diff", "."),
        "proto-lint": (tool["buf"], "lint"),
        "proto-format": (tool["buf"], "format", "--diff", "--exit-code"),
        "proto-breaking": (tool["buf"], "breaking", "--against", "protos/baseline.binpb"),
        "drift": (sys.executable, "-m", "tools.house.drift"),
        "imports": (tool["lint-imports"],),
        "types": (tool["mypy"], *rooms),
        "types-3.10": (tool["mypy"], "--python-version", "3.10", "common", "agent", "client"),
    }
    return [Suite(name, command, quiet=True) for name, command in commands.items()]


def suites_of_tests(workers: int = 1) -> list[Suite]:
    """Return one suite per folder of tests/ that holds tests, the long ones first, and one for files of tests/ itself.

    Which folders there are is found by looking. A file's tests stay in one process: what they share is made once.
    """
    folders = [path for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("test_*.py"))]
    folders.sort(key=lambda path: (LONG.index(path.name) if path.name in LONG else len(LONG), path.name))
    suites = [_of_folder(path.name, workers) for path in folders]
    loose = sorted(f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py"))
    return [*suites, Suite("tests", (*PYTEST, *loose), quiet=False)] if loose else suites


def _of_folder(name: str, workers: int) -> Suite:
    """Return the suite of one folder of tests/, in so many processes."""
    spread = ("-n", str(workers), "--dist", "loadfile") if workers > 1 else ()
    return Suite(f"tests/{name}", (*PYTEST, *spread, f"tests/{name}"), quiet=False)


def demo() -> Suite:
    """Return the demonstration: it demands what it shows, and nobody should be the first to see it fail."""
    return Suite("demo", (sys.executable, "-m", "tools.demo.main"), quiet=False, alone=True)


@dataclass(frozen=True, slots=True)
class Result:
    """How a suite ended, in how many seconds, of the clock and of processors."""

    name: str
    passed: bool
    seconds: float
    worked: float


_talking = threading.Lock()
"""Held by whoever prints: what two suites said does not mix."""


def run(suite: Suite) -> Result:
    """Run one suite, and show what it said when it has ended; at once when it is alone."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    begin = time.monotonic()
    with tempfile.TemporaryFile() as said:
        if not suite.quiet:
            _say(f"== {suite.name}" if suite.alone else f"-- {suite.name} begins")
        output = None if suite.alone else said
        child = subprocess.Popen(suite.command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here
        seconds = time.monotonic() - begin
        said.seek(0)
        words = said.read().decode("utf-8", "replace")
    if words and (child.returncode or not suite.quiet):
        _say(f"== {suite.name}\n{words}")
    return Result(suite.name, child.returncode == 0, seconds, used.ru_utime + used.ru_stime)


def _say(words: str) -> None:
    with _talking:
        print(words, flush=True)


def choose(names: list[str]) -> list[Suite]:
    """Return the suites that the command line asks for, or end with status 2."""
    match names:
        case ["check"]:
            return [*gates(), *suites_of_tests(), demo()]
        case ["test"]:
            return suites_of_tests()
    known = {suite.name: suite for suite in [*gates(), *suites_of_tests(LANES if len(names) == 1 else 1), demo()]}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        print(
            f"unknown suite {', '.join(unknown) or '(none)'}; known: check, test, {', '.join(known)}", file=sys.stderr
        )
        raise SystemExit(2)
    return [known[name] for name in names]


def main() -> int:
    """Run what was asked for, print a table of times, return the exit status."""
    begin, chosen = time.monotonic(), choose(sys.argv[1:])
    with ThreadPoolExecutor(LANES) as lanes:
        results = list(lanes.map(run, [suite for suite in chosen if not suite.alone]))
    results += [run(suite) for suite in chosen if suite.alone]
    width = max((len(each.name) for each in results), default=0)
    print()
    for each in results:
        at_work = each.worked / max(each.seconds, 0.001)
        print(
            f"{each.name:<{width}}  {each.seconds:7.1f} s  {at_work:4.1f} at work  {'ok' if each.passed else 'FAILED'}"
        )
    failed = sum(not each.passed for each in results)
    total, worked = time.monotonic() - begin, sum(each.worked for each in results)
    at_work = worked / max(total, 0.001)
    print(f"{'in all':<{width}}  {total:7.1f} s  {at_work:4.1f} at work  {f'{failed} failed' if failed else 'ok'}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    raise SystemExit(main())
