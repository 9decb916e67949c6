"""``make demo-app``: tells the story of two web products on two hosts, proves each step, leaves nothing running."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.demo.app.host import WebHost
from tools.demo.app.story import HOSTS, AppStory
from tools.demo.fleet import Fleet
from tools.demo.main import ROOT, perform, say, show_time
from tools.demo.processes import Processes
from tools.demo.story import environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 when everything went as promised."""
    parser = argparse.ArgumentParser(
        prog="demo-app", description="A web shop and its gateway on two hosts, through good and bad releases."
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="fail when the story takes longer")
    options = parser.parse_args(arguments)
    environment()
    # The hooks of the hosts run the Python that runs this.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = Processes(Path(tempfile.mkdtemp(prefix="fleetroll-demo-app-")))
    return perform(lambda: tell(processes, options.limit), processes, keep=options.keep)


def tell(processes: Processes, limit: float | None) -> Fleet:
    """Set everything up, tell the story, and return the fleet.

    Raises:
        DemoError: something did not go as promised.
    """
    began = time.monotonic()
    hosts = tuple(WebHost(name, processes.folder / "web" / name) for name in HOSTS)
    settings = {host.name: host.settings() for host in hosts}
    fleet = Fleet(processes.folder, processes, settings.__getitem__)
    for host in hosts:
        host.start(processes)
    story = AppStory(fleet, hosts, ROOT)
    story.set_up()
    say(f"set-up took {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    story.tell()
    show_time(time.monotonic() - began, limit)
    for host in hosts:
        say(f"{host.name}: gateway http://127.0.0.1:{host.port}/")
    return fleet


if __name__ == "__main__":
    sys.exit(main())
