"""What the console costs on a large fleet: from a key to the paint that shows it, processor, memory.

Run by ``make bench-console``. A fleet and its changes are made as messages of the contract, ten seconds of them, told
again and again in their time: each is read, converted and taken in as from a server. Each change is a host in another
state and the event that says so, of its fleet's rollout and of now. The list of hosts is looked at, whose rows change;
a key that moves the cursor is pressed five times a second, and timed until a frame that has the row under the cursor's
new place is handed to the terminal. Frames are rendered to the last byte; only the terminal itself is missing.

Beside it, in a process of its own, stands the same model and the same feed before the framework's ``DataTable``, as one
would write it: fixed widths, the cells that changed, at the same pace of repaints.

Ends with one line of JSON: ``p50_ms`` and ``p99_ms`` from a key to its paint, ``work_p50_ms`` and ``work_p99_ms`` the
processor time of that (on a machine that others use, the rest is waiting for a processor), ``cpu`` in seconds of
processor per second, the feed included, ``megabytes`` resident at the start (the fleet loaded, and five seconds gone)
and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench.feed import Feed
from textual import events
from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver
from textual.widgets import DataTable

from fleetroll_tui.app import ConsoleApp
from fleetroll_tui.paint import Paint
from fleetroll_tui.places import Place
from fleetroll_tui.screens.columns import host_columns
from fleetroll_tui.session import Session
from fleetroll_tui.start import FRAMES_PER_SECOND
from fleetroll_tui.sweeping import by_hand
from fleetroll_tui.theme import PALETTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.pilot import Pilot

    from fleetroll_tui.model.values import Host

SIZE = (160, 45)
WARM_SECONDS = 5.0
KEY_SECONDS = 0.2
PATIENCE_SECONDS = 30.0
"""After this long without its paint a key counts as lost."""
GOAL_P99_MS, GOAL_CPU = 30.0, 0.5
KEYS = ("down", "down", "down", "up", "pagedown", "down", "pageup", "down")
REPAINT_SECONDS = 0.2


class Meter(HeadlessDriver):
    """A terminal that takes each frame and notes which keys it answers."""

    frames = 0
    bytes = 0
    watched: Callable[[], str] | None = None
    """Returns the name under the cursor."""
    wanted: tuple[str, float, float] | None = None
    """The name that the cursor left, when the key was pressed, and the processor time of this process by then."""
    answered: asyncio.Event
    taken: list[float]
    worked: list[float]

    @property
    def is_headless(self) -> bool:
        """Be taken for a real one: frames are rendered to the end."""
        return False

    def write(self, data: str) -> None:
        """Take a frame in."""
        type(self).frames += 1
        type(self).bytes += len(data)
        if self.wanted is None or self.watched is None:
            return
        before, pressed, used = self.wanted
        name = self.watched()
        if name != before and name in data:
            self.taken.append((time.perf_counter() - pressed) * 1000)
            self.worked.append((time.process_time() - used) * 1000)
            self.wanted = None
            self.answered.set()

    def flush(self) -> None:
        """Hold nothing back."""


class Plain(App[int]):
    """The baseline: the same model before the framework's own table."""

    def __init__(self, feed: Feed) -> None:
        """Prepare."""
        super().__init__()
        self.feed = feed
        self.session = Session(time.monotonic)
        self.table: DataTable[str] = DataTable(cursor_type="row", zebra_stripes=True)
        self._paint = Paint(PALETTES["dark"])
        self._columns = host_columns()
        self._dirt = self.session.fleet.hosts.reader()
        self._shown: dict[str, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        """Show the table alone."""
        yield self.table

    def on_mount(self) -> None:
        """Begin."""
        for number, column in enumerate(self._columns):
            self.table.add_column(column.title or " ", key=str(number), width=max(column.width, 12))
        self.run_worker(self._watch())
        self.set_interval(REPAINT_SECONDS, self._show)

    async def _watch(self) -> None:
        async for update in self.feed.watch():
            self.session.take(update)
            await asyncio.sleep(0)

    def _cells(self, host: Host) -> tuple[str, ...]:
        now = self.session.now
        return tuple("".join(words for words, _ in column.cell(host, self._paint, now, 20)) for column in self._columns)

    def _show(self) -> None:
        changed, _ = self._dirt.clean()
        if not self.session.fleet.loaded:
            return
        if not self._shown:
            for host in sorted(self.session.fleet.hosts, key=lambda each: each.name):
                self._shown[host.id] = cells = self._cells(host)
                self.table.add_row(*cells, key=host.id)
            return
        for key in changed:
            before, cells = self._shown[key], self._cells(self.session.fleet.hosts.things[key])
            for number, (old, new) in enumerate(zip(before, cells, strict=True)):
                if old != new:
                    self.table.update_cell(key, str(number), new)
            self._shown[key] = cells


def console(feed: Feed) -> tuple[App[int], Callable[[], str], Callable[[], None]]:
    """Return the console, what reads the name under its cursor, and what opens the hosts."""
    app = ConsoleApp(feed, environment="bench", ticks=time.monotonic)  # type: ignore[arg-type]

    def name() -> str:
        listing = app.session.hosts
        host = listing.current
        return host.name if host is not None else ""

    return app, name, lambda: app.go(Place("hosts"))


def datatable(feed: Feed) -> tuple[App[int], Callable[[], str], Callable[[], None]]:
    """Return the baseline in the same way."""
    app = Plain(feed)

    def name() -> str:
        return str(app.table.get_row_at(app.table.cursor_row)[1]) if app.table.row_count else ""

    def focus() -> None:
        app.table.focus()

    return app, name, focus


MAKERS = {"console": console, "datatable": datatable}


async def measure(which: str, *, hosts: int, rate: int, seconds: float) -> dict[str, Any]:
    """Run one of them for a while; return what it cost."""
    if which == "console":
        by_hand()  # as its program does
    feed = Feed(hosts, rate)
    app, name, begin = MAKERS[which](feed)
    app.driver_class = Meter
    Meter.taken, Meter.worked = [], []
    found: dict[str, Any] = {}

    async def drive(_pilot: Pilot[object]) -> None:
        driver = app._driver  # noqa: SLF001 (keys go in where a terminal's go in)
        if not isinstance(driver, Meter):
            raise TypeError
        driver.watched = name
        while not name():
            begin()
            await asyncio.sleep(0.5)
        await asyncio.sleep(WARM_SECONDS)
        found.update(await keys(driver, feed, seconds))
        app.exit(0)

    await app.run_async(size=SIZE, auto_pilot=drive)
    return found


async def keys(driver: Meter, feed: Feed, seconds: float) -> dict[str, Any]:
    """Press keys for so long; return what was measured."""
    draw = random.Random(2)
    began, used, taken, size = time.monotonic(), time.process_time(), feed.taken, resident()
    frames, pressed, lost = Meter.frames, 0, 0
    while time.monotonic() - began < seconds:
        await asyncio.sleep(KEY_SECONDS * (0.5 + draw.random()))
        driver.answered = asyncio.Event()
        driver.wanted = (driver.watched() if driver.watched else "", time.perf_counter(), time.process_time())
        driver.process_message(events.Key(KEYS[pressed % len(KEYS)], None))
        pressed += 1
        try:
            await asyncio.wait_for(driver.answered.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            lost += 1
        if feed.taken == taken and lost:
            message = "what is measured has ended, or takes nothing in"
            raise RuntimeError(message)
    took = time.monotonic() - began
    times, work = sorted(driver.taken), sorted(driver.worked)
    return {
        "seconds": round(took, 1),
        "changes_per_second": round((feed.taken - taken) / took),
        "keys": pressed,
        "lost": lost,
        "p50_ms": at(times, 0.5),
        "p99_ms": at(times, 0.99),
        "most_ms": at(times, 1.0),
        "work_p50_ms": at(work, 0.5),
        "work_p99_ms": at(work, 0.99),
        "cpu": round((time.process_time() - used) / took, 3),
        "megabytes": [round(size, 1), round(resident(), 1)],
        "frames_per_second": round((Meter.frames - frames) / took, 1),
    }


def at(times: list[float], share: float) -> float | None:
    """Return the time that this share did not exceed."""
    return round(times[min(len(times) - 1, int(len(times) * share))], 1) if times else None


def resident() -> float:
    """Return this process's resident memory in megabytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (a pseudo file)
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def apart(which: str, given: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Measure one of them in a process of its own."""
    options = ("--only", which, "--hosts", str(given.hosts), "--rate", str(given.rate), "--seconds", str(seconds))
    command = (sys.executable, "-m", "bench.console", *options)
    environment = {**os.environ, "TEXTUAL_FPS": str(FRAMES_PER_SECOND)}  # as the program sets it; both have it
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 300, env=environment)  # noqa: S603 (itself)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    start, end = found["megabytes"]
    sys.stdout.write(
        f"{which:10} {given.hosts} hosts, {found['changes_per_second']:5} changes/s, {found['seconds']:.0f} s: "
        f"key to paint p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms "
        f"(of it work p50 {found['work_p50_ms']} ms, p99 {found['work_p99_ms']} ms); "
        f"{found['cpu']:.2f} of a core; {start:.0f} MB at the start, {end:.0f} MB at the end\n"
    )
    sys.stdout.flush()
    return found


def main() -> None:
    """Measure both and compare."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hosts", type=int, default=10_000, help="size of the fleet (10000)")
    options.add_argument("--rate", type=int, default=5_000, help="changes per second (5000)")
    options.add_argument("--seconds", type=float, default=60.0, help="of each run (60)")
    options.add_argument("--minutes", type=float, default=0.0, help="of the console's run, instead of the seconds")
    options.add_argument("--only", choices=sorted(MAKERS), help="measure this one here, and print its JSON alone")
    given = options.parse_args()
    if given.only:
        found = asyncio.run(measure(given.only, hosts=given.hosts, rate=given.rate, seconds=given.seconds))
        sys.stdout.write(json.dumps(found) + "\n")
        return
    ours = apart("console", given, given.minutes * 60 or given.seconds)
    theirs = apart("datatable", given, given.seconds)
    ratios = {
        key: round(ours[key] / theirs[key], 3) if ours[key] and theirs[key] else None
        for key in ("p50_ms", "p99_ms", "work_p99_ms", "cpu")
    }
    met = ours["p99_ms"] is not None and ours["p99_ms"] <= GOAL_P99_MS and ours["cpu"] <= GOAL_CPU
    sys.stdout.write("console to DataTable: " + ", ".join(f"{key} {value} x" for key, value in ratios.items()) + "\n")
    sys.stdout.write(
        json.dumps(
            {"hosts": given.hosts, "rate": given.rate, "console": ours, "datatable": theirs, "ratios": ratios,
             "goal": {"p99_ms": GOAL_P99_MS, "cpu": GOAL_CPU}, "met": met}
        ) + "\n"
    )  # fmt: skip


if __name__ == "__main__":
    main()
