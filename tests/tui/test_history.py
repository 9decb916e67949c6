"""What happened before: asked for until it is had, kept for whom it was asked, counted once, and its gaps said."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_tui.model.updates import Alive, Changed, Lost, Older, Page, Resync, Stand
from fleetroll_tui.model.values import Attempt, Happening, Host, Rollout
from tests.tui import scenes
from tests.tui.driving import PlayedServer, console, driven, host, press, seen, settle

if TYPE_CHECKING:
    from fleetroll_tui.app import ConsoleApp

NOW = float(scenes.NOW)
HOST, BUSY = host(1), host(2)
ROLLOUT = Rollout("ro-1", "eu", "web", "1.5.0", "running")
STANDS = Page(NOW, Stand(hosts=(HOST, BUSY), rollouts=(ROLLOUT,)), last=True)
AWAY = RequestError("nobody answers", code=Code.UNAVAILABLE, remedy="wait")


def event(number: int, about: Host = HOST, state: str = "failed", minutes: float = 10.0, said: str = "") -> Happening:
    """Event so-and-so, so many minutes ago."""
    at = NOW - 60 * minutes + number / 1000
    return Happening(f"e{number}", at, "attempt.state", rollout_id="ro-1", host_id=about.id, state=state, message=said)


class Keeper(PlayedServer):
    """A server that keeps what happened, and lists the newest of it as it is asked."""

    def __init__(self, *past: Happening, page: int = 500) -> None:
        super().__init__()
        self.past = list(past)
        self.page = page
        self.listed: Counter[tuple[str, str]] = Counter()
        self.faults: list[Exception] = []
        self.say(STANDS)

    async def older(self, *, rollout_id: str = "", host_id: str = "") -> Older:
        self.listed[rollout_id, host_id] += 1
        if self.faults:
            raise self.faults.pop(0)
        found = [
            each
            for each in reversed(self.past)
            if rollout_id in {"", each.rollout_id} and host_id in {"", each.host_id}
        ]
        return Older(tuple(found[: self.page]))

    async def attempts(self, host_id: str) -> tuple[Attempt, ...]:
        if self.faults:
            raise self.faults.pop(0)
        return (Attempt("at-1", "ro-1", "1.4.2", "1.5.0", "failed", message="the attempt of then"),)

    def tell(self, *happenings: Happening) -> None:
        """Let these happen, and tell them."""
        self.past += happenings
        self.say(Changed(NOW, Stand(), happenings))


def log(app: ConsoleApp, rollout_id: str = "", host_id: str = "") -> list[str]:
    rows = app.session.events_now(rollout_id, host_id)
    return [rows.id_at(place) for place in range(len(rows))]


async def test_the_log_of_a_host_outlives_a_busy_fleet_and_is_counted_once_however_often_it_is_looked_at() -> None:
    server = Keeper(*(event(number, minutes=30) for number in range(20)))
    app = console(server)
    async with driven(app) as pilot:
        before = sum(app.session.fleet.rates.bad(NOW))
        for first in range(1000, 7000, 1000):
            server.tell(*(event(number, BUSY, "applying", 5) for number in range(first, first + 1000)))
        await settle(pilot)
        for _ in range(3):
            await press(pilot, "3", "enter")
            assert log(app, host_id=HOST.id) == [f"e{number}" for number in range(19, -1, -1)]
            await press(pilot, "escape")
        assert (before, sum(app.session.fleet.rates.bad(NOW))) == (20, 20)
        assert sum(app.session.fleet.rates_of("ro-1").bad(NOW)) == 20


async def test_what_a_rollout_lists_from_before_everything_that_was_counted_is_counted_for_it_once() -> None:
    server = Keeper(*(event(number) for number in range(20)), page=5)
    server.past += [replace(event(number), rollout_id="ro-2") for number in range(20, 25)]
    app = console(server)
    async with driven(app) as pilot:
        assert sum(app.session.fleet.rates.bad(NOW)) == 5
        for _ in range(3):
            await press(pilot, "2", "enter")
            assert log(app, "ro-1") == ["e19", "e18", "e17", "e16", "e15"]
            await press(pilot, "1")
        assert sum(app.session.fleet.rates_of("ro-1").bad(NOW)) == 5
        assert sum(app.session.fleet.rates.bad(NOW)) == 5


async def test_what_happens_to_a_host_that_was_looked_at_comes_to_its_log() -> None:
    server = Keeper(event(1))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "enter")
        server.tell(event(2, said="the very newest"), event(3, BUSY))
        await settle(pilot)
        assert log(app, host_id=HOST.id) == ["e2", "e1"]
        assert "the very newest" in seen(app)


async def test_after_a_resync_what_happened_meanwhile_is_asked_for_and_counted_once() -> None:
    server = Keeper(event(1))
    app = console(server)
    async with driven(app) as pilot:
        server.say(Resync(NOW, "too slow"))
        await settle(pilot)
        server.past += [event(2), event(3)]
        assert server.listed["", ""] == 1, "what happens until the snapshot is known only after it"
        server.say(STANDS)
        await settle(pilot)
        assert log(app) == ["e3", "e2", "e1"]
        assert "missing" not in seen(app)
        assert sum(app.session.fleet.rates.bad(NOW)) == 3


async def test_a_gap_that_no_list_reaches_over_is_one_line_in_the_log() -> None:
    server = Keeper(event(1), page=2)
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "enter")
        server.past += [event(number) for number in range(2, 9)]
        server.say(Resync(NOW, "the watcher was too slow"))
        server.say(STANDS)
        await settle(pilot)
        for name in ((), ("1",)):
            await press(pilot, *name)
            text = seen(app)
            assert text.count("events are missing here:") == 1
            assert "the watcher was too slow" in text
        assert [each for each in log(app, host_id=HOST.id) if each.startswith("e")] == ["e8", "e7", "e1"]
        place = log(app).index("e1")
        assert log(app)[place - 1] not in {"e7", "e8"}, "the line stands where the events are missing"


async def test_a_log_that_was_replaced_is_forgotten_whole() -> None:
    server = Keeper(event(1), event(2))
    app = console(server)
    async with driven(app) as pilot:
        await press(pilot, "3", "enter")
        assert "the attempt of then" in seen(app)
        server.past = [event(1, said="another history"), event(7)]
        server.say(Resync(NOW, "the cursor is of another database", log_replaced=True))
        server.say(STANDS)
        await settle(pilot)
        assert log(app, host_id=HOST.id) == ["e7", "e1"]
        assert "another history" in seen(app)
        await press(pilot, "1")
        assert log(app) == ["e7", "e1"]
        assert sum(app.session.fleet.rates.bad(NOW)) == 2
        assert sum(app.session.fleet.rates_of("ro-1").bad(NOW)) == 2


async def test_a_list_that_failed_is_asked_for_again_at_the_next_visit() -> None:
    server = Keeper(event(1))
    server.faults = [AWAY]
    app = console(server)
    async with driven(app) as pilot:
        assert "nobody answers (UNAVAILABLE)" in seen(app)
        assert "what happened is not read yet" in seen(app)
        assert log(app) == []
        server.say(Alive(NOW))
        await settle(pilot)
        assert server.listed["", ""] == 1, "nobody is asked again and again"
        await press(pilot, "3")
        await settle(pilot)
        assert log(app) == ["e1"]


async def test_a_list_that_failed_is_asked_for_again_when_the_line_is_back() -> None:
    server = Keeper(event(1))
    app = console(server)
    async with driven(app) as pilot:
        server.faults = [AWAY, AWAY]
        await press(pilot, "3", "enter")
        assert log(app, host_id=HOST.id) == ["e1"], "the fleet's own events had it"
        assert "the attempt of then" not in seen(app)
        server.say(Lost("UNAVAILABLE", "gone", tries=1))
        await settle(pilot)
        server.say(Alive(NOW))
        await settle(pilot)
        assert "the attempt of then" in seen(app)
        assert server.listed["", HOST.id] == 2


async def test_a_defect_of_a_list_is_said_and_ends_nothing() -> None:
    server = Keeper(event(1))
    app = console(server)
    async with driven(app) as pilot:
        server.faults = [KeyError("secret"), ZeroDivisionError("secret")]
        await press(pilot, "3", "enter")
        await settle(pilot)
        text = seen(app)
        assert "a defect: KeyError" in text
        assert "a defect: ZeroDivisionError" in text
        assert "secret" not in text
        await press(pilot, "escape", "enter")
        assert "the attempt of then" in seen(app)
