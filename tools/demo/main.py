"""``make demo``: tells the story on a fresh fleet, prints what it proved, leaves nothing running."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tools.demo.fleet import HOSTS, Fleet
from tools.demo.processes import Processes
from tools.demo.sources import DemoError
from tools.demo.story import GOOD, Story, Told, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
USUAL_SECONDS = 120.0
"""What two cores of today need at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 when everything went as promised."""
    parser = argparse.ArgumentParser(
        prog="demo", description="One server, twelve agents, one good and two bad releases, and a thirteenth agent."
    )
    parser.add_argument("--keep", action="store_true", help="leave the fleet running at the end")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="fail when the whole takes longer")
    options = parser.parse_args(arguments)
    environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="fleetroll-demo-"))
    processes = Processes(folder)
    return perform(lambda: tell(processes, options.limit), processes, keep=options.keep)


def perform(play: Callable[[], Fleet], processes: Processes, *, keep: bool) -> int:
    """Play, then stop everything, however the play ended; only a fleet that did well may be kept."""
    failures: list[str] = []
    fleet: Fleet | None = None
    try:
        fleet = play()
    except DemoError as error:
        failures.append(str(error))
    except Exception as error:  # noqa: BLE001 (whatever it is, the fleet has to be stopped and one line has to say why)
        (processes.logs / "demo.log").write_text(traceback.format_exc(), encoding="utf-8")
        failures.append(f"unforeseen {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        failures.append("interrupted")
    finally:
        if fleet is None or not keep:
            failures.extend(stop(processes))
    if failures:
        sys.stderr.write("".join(f"demo: {failure}\n" for failure in failures))
        sys.stderr.write(f"demo: logs and state are in {processes.folder}\n")
        return 1
    if fleet is not None and keep:
        show_kept(fleet, processes)
        return 0
    shutil.rmtree(processes.folder)
    say("nothing is left running")
    return 0


def stop(processes: Processes) -> list[str]:
    """Stop everything; return what went wrong with that."""
    try:
        processes.stop_all()
    except (DemoError, OSError) as error:
        return [str(error)]
    return []


def tell(processes: Processes, limit: float | None) -> Fleet:
    """Tell the story on a fresh fleet, print what it proved, and return the fleet.

    Raises:
        DemoError: something did not go as promised.
    """
    began = time.monotonic()
    fleet = Fleet(processes.folder, processes)
    told = Story(fleet, ROOT).tell()
    show(fleet, told)
    show_time(time.monotonic() - began, limit)
    return fleet


def show_time(seconds: float, limit: float | None) -> None:
    """Say how long it took; without ``limit`` two minutes are only a yardstick, because machines differ.

    Raises:
        DemoError: it took longer than ``limit``.
    """
    bound = USUAL_SECONDS if limit is None else limit
    late = "" if seconds <= bound else ": longer than that"
    say(f"the whole took {seconds:.0f} s (limit {bound:g} s){late}")
    if limit is not None and late:
        raise DemoError(f"--limit: it took {seconds:.1f} s, {limit:g} s are allowed")


def show(fleet: Fleet, told: list[Told]) -> None:
    """Print the summary."""
    say()
    say(f"{'release':8} {'outcome':10} {'took':>7}  {'hosts given Go':>14}  why it ended")
    for one in told:
        say(f"{one.version:8} {one.outcome:10} {one.seconds:5.1f} s  {len(set(one.given_go)):>14}  {one.why}")
    say()
    for one in told:
        if one.canary:
            say(f"{one.version}: canary {one.canary} rolled back: {one.canary_message} ({one.canary_code})")
            say(f"       its last output: {one.canary_output[:100]}")
    say(hosts_per_version(list(fleet.versions().values())))


def hosts_per_version(versions: Sequence[str]) -> str:
    """Return the line that ends the summary.

    Raises:
        DemoError: not all hosts, the late one included, run the good release.
    """
    hosts = len(HOSTS) + 1
    if list(versions) != [GOOD] * hosts:
        raise DemoError(f"not every one of {hosts} hosts runs {GOOD} at the end: {sorted(versions)}")
    return f"hosts per version: {', '.join(f'{v}: {versions.count(v)} of {hosts}' for v in sorted(set(versions)))}"


def show_kept(fleet: Fleet, processes: Processes) -> None:
    """Say how to use the fleet that stays, and how to end it."""
    say()
    say(f"the fleet stays up below {fleet.folder}; to use it:")
    for name, value in fleet.environment().items():
        say(f"  export {name}={value}")
    say(f"to end it: kill {' '.join(str(pid) for pid in processes.pids().values())}")


def say(line: str = "") -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
