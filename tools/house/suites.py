"""Runs gates and test suites one after the other and prints the time of each.

Usage: suites.py check | test | NAME...

Beside the time stands how many processors were at work: a suite that has them all is bound by them, another waits.

`check` is every gate, every test suite and the demonstrations; `test` every test suite. A suite is one folder below
tests/ that holds tests, found by looking, so that no folder is forgotten; that nothing was collected is a failure. The
output of a gate is shown only when it fails. The exit status is 0 when all passed, 1 when something failed, 2 for a
name that does not exist.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PYTEST = (sys.executable, "-m", "pytest", "-q")
WORKERS = max(1, min(os.cpu_count() or 1, 4))
"""Test processes of one suite. A file's tests stay together: what they share is made once.

Suites side by side were measured on two cores, with as many processes each and with one: no faster, since tests that
wait for each other poll the longer.
"""
SOURCE_ROOTS = ("common", "publishing", "client", "server", "agent", "cli", "tui", "tools", "bench", "tests")


@dataclass(frozen=True, slots=True)
class Suite:
    """One command; `quiet` ones show their output only when they fail."""

    name: str
    command: tuple[str, ...]
    quiet: bool


def gates() -> list[Suite]:
    """Return the gates: the slowest begin first, beside which the others have their turn."""
    tool = {name: str(BIN / name) for name in ("ruff", "mypy", "buf", "lint-imports")}
    rooms = [room for room in SOURCE_ROOTS if any((ROOT / room).rglob("*.py"))]
    commands = {
        "types": (tool["mypy"], *rooms),
        "types-3.10": (tool["mypy"], "--python-version", "3.10", "common", "agent", "client"),
        "lint": (tool["ruff"], "check", "--quiet", "."),
        "format": (tool["ruff"], "format", "--quiet", "--diff", "."),
        "proto-lint": (tool["buf"], "lint"),
        "proto-format": (tool["buf"], "format", "--diff", "--exit-code"),
        "proto-breaking": (tool["buf"], "breaking", "--against", "protos/baseline.binpb"),
        "drift": (sys.executable, "-m", "tools.house.drift"),
        "imports": (tool["lint-imports"],),
    }
    return [Suite(name, command, quiet=True) for name, command in commands.items()]


def tests() -> list[Suite]:
    """Return one suite per folder of tests/ that holds tests, and one for files that lie in tests/ itself."""
    folders = sorted(path for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.rglob("test_*.py")))
    suites = [_of_folder(path.name) for path in folders]
    loose = sorted(f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py"))
    return [*suites, Suite("tests", (*PYTEST, *loose), quiet=False)] if loose else suites


def _of_folder(name: str) -> Suite:
    """Return the suite of one folder of tests/."""
    # In the order of tests/conftest.py, which knows the long ones.
    spread = ("-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder")
    return Suite(f"tests/{name}", (*PYTEST, *spread, f"tests/{name}"), quiet=False)


def demos() -> list[Suite]:
    """Return the demonstrations: each demands what it shows, and nobody should be the first to see one fail."""
    programs = {"demo": "tools.demo.main", "demo-app": "tools.demo.app.main"}
    return [Suite(name, (sys.executable, "-m", module), quiet=False) for name, module in programs.items()]


@dataclass(frozen=True, slots=True)
class Result:
    """How a suite ended, in how many seconds, of the clock and of processors."""

    name: str
    passed: bool
    seconds: float
    worked: float


def run(suite: Suite) -> Result:
    """Run one suite."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    begin = time.monotonic()
    print(f"== {suite.name}\n", end="", flush=True)  # one write: two may begin together
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            suite.command, cwd=ROOT, env=environment, stdout=said if suite.quiet else None, stderr=subprocess.STDOUT
        )
        _pid, status, used = os.wait4(process.pid, 0)  # of this child alone: others may be running beside it
        process.returncode = os.waitstatus_to_exitcode(status)
        if suite.quiet and process.returncode:
            said.seek(0)
            print(said.read().decode("utf-8", "replace"), flush=True)
    worked = used.ru_utime + used.ru_stime
    return Result(suite.name, process.returncode == 0, time.monotonic() - begin, worked)


def run_all(suites: list[Suite]) -> list[Result]:
    """Run the quiet suites side by side, each of which keeps one processor busy; then the others, one by one."""
    quiet, loud = ([suite for suite in suites if suite.quiet is is_quiet] for is_quiet in (True, False))
    with ThreadPoolExecutor(WORKERS) as side_by_side:
        results = list(side_by_side.map(run, quiet))
    return [*results, *map(run, loud)]


def choose(names: list[str]) -> list[Suite]:
    """Return the suites that the command line asks for, or end with status 2."""
    match names:
        case ["check"]:
            return [*gates(), *tests(), *demos()]
        case ["test"]:
            return tests()
    known = {suite.name: suite for suite in [*gates(), *tests(), *demos()]}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        print(
            f"unknown suite {', '.join(unknown) or '(none)'}; known: check, test, {', '.join(known)}", file=sys.stderr
        )
        raise SystemExit(2)
    return [known[name] for name in names]


def main() -> int:
    """Run what was asked for, print a table of times, return the exit status."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fleetroll-kept-") as kept:
        os.environ["FLEETROLL_TESTS_KEPT"] = kept
        results = run_all(choose(sys.argv[1:]))
    width = max((len(each.name) for each in results), default=0)
    print()
    for each in results:
        at_work = each.worked / max(each.seconds, 0.001)
        print(
            f"{each.name:<{width}}  {each.seconds:7.1f} s  {at_work:4.1f} at work  {'ok' if each.passed else 'FAILED'}"
        )
    failed = sum(not each.passed for each in results)
    print(f"{'total':<{width}}  {time.monotonic() - begin:7.1f} s  {'':12}  {f'{failed} failed' if failed else 'ok'}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    raise SystemExit(main())
