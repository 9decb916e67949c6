"""``make demo``: tells the story on a fresh fleet, prints what it proved, leaves nothing running."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tools.demo.fleet import HOSTS, Fleet
from tools.demo.processes import Processes
from tools.demo.sources import DemoError
from tools.demo.story import GOOD, Story, Told, environment

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the demonstration; 0 when everything went as promised."""
    parser = argparse.ArgumentParser(
        prog="demo", description="One server, twelve agents, one good and two bad releases."
    )
    parser.add_argument("--keep", action="store_true", help="leave the fleet running at the end")
    keep = parser.parse_args().keep
    environment()
    folder = Path(tempfile.mkdtemp(prefix="fleetroll-demo-"))
    (folder / "logs").mkdir()
    processes = Processes(folder / "logs")
    began = time.monotonic()
    kept = False
    try:
        fleet = Fleet(folder, processes)
        told = Story(fleet, ROOT).tell()
        show(fleet, told, time.monotonic() - began)
        kept = keep
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\ndemo: logs and state are in {folder}\n")
        processes.stop_all()
        return 1
    except KeyboardInterrupt:
        processes.stop_all()
        return 1
    if kept:
        show_kept(fleet, processes)
        return 0
    processes.stop_all()
    shutil.rmtree(folder)
    say("nothing is left running")
    return 0


def show(fleet: Fleet, told: list[Told], seconds: float) -> None:
    """Print the summary."""
    say()
    say(f"{'release':8} {'outcome':10} {'took':>7}  {'hosts past Go':>13}  why it ended")
    for one in told:
        say(f"{one.version:8} {one.outcome:10} {one.seconds:5.1f} s  {len(one.past_go):>13}  {one.why}")
    say()
    for one in told:
        if one.canary:
            say(f"{one.version}: canary {one.canary} rolled back: {one.canary_message} ({one.canary_code})")
            say(f"       its last output: {one.canary_output[:100]}")
    versions = list(fleet.versions().values())
    say(f"hosts per version: {', '.join(f'{v}: {versions.count(v)} of {len(HOSTS)}' for v in sorted(set(versions)))}")
    if set(versions) != {GOOD}:
        raise DemoError(f"not every host runs {GOOD} at the end")
    say(f"the whole took {seconds:.0f} s")


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
