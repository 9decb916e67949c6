"""The console as a program in a terminal, on a real server with real hosts: found, read, stopped by keys alone."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.consoles import CANARY, CONSOLE, NEXT, OTHER, SOAKS, WAITS, fleet, nothing_goes_on, start, state, where
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import FAILS_SELF_TEST, GOOD
from tests.tui.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

__all__ = ["fleet", "nothing_goes_on"]


@contextmanager
def console(fleet: Fleet, folder: Path, *options: str) -> Iterator[Terminal]:
    """The console on the fleet's server; at its end the terminal is as it was."""
    command = (*CONSOLE, *where(fleet), *options)
    environment = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with Terminal(command, screens=folder / "screens.txt", environment=environment) as terminal:
        terminal.wait("live", "● live", "3 up", seconds=WAITS)
        yield terminal
        terminal.press("q")
        assert terminal.ended() == 0
        assert restored(terminal)


def restored(terminal: Terminal) -> bool:
    """Tell whether the shell gets its terminal back as it gave it: screen, cursor, echo."""
    return not terminal.on_alternate and terminal.cursor_shown and terminal.modes_now == terminal.before


def events_in(fleet: Fleet) -> list[int]:
    """The numbers of the events in the server's log, in their order."""
    return [int(number) for (number,) in fleet.records.rows("SELECT sequence FROM event ORDER BY sequence")]


def recorded(path: Path) -> list[int]:
    """The numbers of the events that the console was told, in the order in which they came."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    batches = [line["message"].get("changes", {}).get("events", []) for line in lines if not line["stream"]]
    return [int(event["id"].removeprefix("e")) for batch in batches for event in batch]


def test_the_failed_host_is_found_its_reason_read_and_another_rollout_stopped_and_continued_by_keys(
    fleet: Fleet, tmp_path: Path
) -> None:
    running = start(fleet, GOOD, OTHER, soak=SOAKS)
    bad = start(fleet, FAILS_SELF_TEST, CANARY, NEXT, waves=(1,))
    with console(fleet, tmp_path) as terminal:
        terminal.press("2")
        terminal.wait("rollouts: one has halted", f"agent-{FAILS_SELF_TEST}", "halted", "running", seconds=WAITS)
        terminal.press("/", *FAILS_SELF_TEST, "enter", "enter")
        terminal.wait("the rollout says why", "HALTED  WAVE_NOT_PASSED: wave 1: 1 bad of 1", seconds=WAITS)
        terminal.press("tab")
        shown = terminal.wait("its hosts, the failed one first", CANARY, NEXT, "SELF_TEST_FA")
        assert shown.index(f"▸● {CANARY}") < shown.index(NEXT)
        terminal.press("enter")
        terminal.wait("the host", "▸Log", "SELF_TEST_FAILED")
        terminal.press("tab", "tab")
        terminal.wait("its last words", "SELF_TEST_FAILED", "libfrob.so.2", "Its last output")
        # The other one: paused at once, continued after a look at the evidence.
        terminal.press("2", "esc")
        terminal.wait("rollouts, all of them", f"agent-{GOOD}", f"agent-{FAILS_SELF_TEST}")
        terminal.press("/", *"state:running", "enter", "p")
        terminal.wait("paused", "Accepted")
        wait("the server has paused it", lambda: state(fleet, running) == "PAUSED", WAITS)
        terminal.press("esc", "/", *GOOD, "enter")
        terminal.wait("shown as paused", "‖ paused", "c Continue")
        terminal.press("c")
        terminal.wait("asked with the evidence", f"Continue agent-{GOOD}?", "paused: console", "n No")
        terminal.press("enter")
        terminal.wait("No was in front", gone=("n No",))
        assert state(fleet, running) == "PAUSED"
        terminal.press("c")
        terminal.wait("asked again", "n No")
        terminal.press("y")
        terminal.wait("goes on", "◐ running")
        wait("the server lets it go on", lambda: state(fleet, running) == "RUNNING", WAITS)
        looked = len(terminal.seen)
    assert state(fleet, bad) == "HALTED"
    print(f"console: {looked} screens of 80 x 24 looked at, one host found and read, one rollout stopped and continued")


def test_a_killed_server_is_seen_as_stale_and_no_event_is_lost_or_told_twice(fleet: Fleet, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    before = events_in(fleet)
    with console(fleet, tmp_path, "--record", str(record)) as terminal:
        first = start(fleet, FAILS_SELF_TEST, NEXT)
        wait("halted", lambda: state(fleet, first) == "HALTED", WAITS)
        terminal.press("3")
        terminal.wait("hosts", CANARY, NEXT, OTHER)
        terminal.press("down")
        terminal.wait("one is chosen", f"▸● {NEXT}")
        bright = terminal.light_of(CANARY)
        fleet.server.kill()
        terminal.wait("stale", "◌ stale", "reconnecting", f"▸● {NEXT}", gone=("● live",), seconds=WAITS)
        wait("the view is dimmed", lambda: terminal.light_of(CANARY) < bright * 0.8, WAITS)
        fleet.start_server()
        fleet.adopt_server(fleet.server)
        terminal.wait("live again", "● live", "3 up", f"▸● {NEXT}", gone=("stale",), seconds=WAITS)
        wait("the view is bright", lambda: terminal.light_of(CANARY) == bright, WAITS)
        second = start(fleet, FAILS_SELF_TEST, CANARY)
        wait("halted", lambda: state(fleet, second) == "HALTED", WAITS)
        for rollout in (first, second):
            fleet.cancel(rollout)
        fleet.wait_online()
        wait("the console was told all", lambda: recorded(record)[-1:] == events_in(fleet)[-1:], WAITS)
    told, log = recorded(record), events_in(fleet)
    after = log[log.index(told[0]) :]
    assert told == after
    assert set(log) - set(told) <= set(before)
    print(f"console: {len(told)} events told over a kill of the server, as many as the log has since, each once")


def test_the_terminal_is_given_back_by_every_way_out_and_a_new_size_is_taken(fleet: Fleet, tmp_path: Path) -> None:
    for way, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), ("ctrl+c", 0)):
        command = (*CONSOLE, *where(fleet))
        with Terminal(command, screens=tmp_path / "screens.txt", environment={"HOME": str(tmp_path)}) as terminal:
            terminal.wait("live", "● live", "3 up", seconds=WAITS)
            assert (terminal.on_alternate, terminal.cursor_shown) == (True, False)
            assert terminal.modes_now != terminal.before
            terminal.press("3")
            terminal.wait("hosts", CANARY)
            terminal.resize(160, 45)
            terminal.wait_until("wider", lambda text: "last result" in text and len(text.splitlines()[0]) > 140)
            terminal.resize(80, 24)
            terminal.wait_until("narrow again", lambda text: "last result" not in text and "? Help" in text)
            if isinstance(way, str):
                terminal.press(way)
            else:
                terminal.kill(way)
            assert terminal.ended() == code, way
            assert restored(terminal), way
