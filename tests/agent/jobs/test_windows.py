"""Windows of maintenance on a host: it asks inside of them alone, and is not asked to do what fits into none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.effects import AskGo, FillSlot, FindTarget
from fleetroll_agent.jobs.events import AskAgain, Assigned, SessionOpened, TargetFound
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.policy import Policy
from fleetroll_agent.jobs.values import Attempt, Stage
from fleetroll_agent.settings import formats
from tests.faults.jobs import NEW, Host

if TYPE_CHECKING:
    from fleetroll_common.values.windows import Window

WALL = 1_800_000_000.0
"""Of the faked hosts, at second 0 of their boot clock."""
NIGHT = "mon-fri 22:00-05:00 Europe/Berlin"


def windows(*texts: str) -> tuple[Window, ...]:
    return tuple(formats.window(text) for text in texts)


def at(text: str) -> float:
    """The boot second of a faked host at which it is so late in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - WALL


def staged(when: str, *texts: str, **policy: Any) -> Host:
    """A host with windows, and an attempt that was staged at an instant."""
    host = Host.start(at=at(when))
    host.state = replace(host.state, policy=Policy(windows=windows(*texts), **policy))
    host.stage(7)
    return host


def test_outside_of_its_windows_a_host_stages_and_does_not_ask() -> None:
    """It says which opening it waits for, by the clocks of that place, and until when, once."""
    host = staged("2028-03-25T12:00", NIGHT)
    assert host.attempt.stage is Stage.STAGED
    assert host.said[-1] == "7 STAGED WINDOW"
    assert host.journal[-1].message == (
        "the next opening with the 120 s that the work takes is from 2028-03-27 22:00 to 2028-03-28 05:00 "
        "Europe/Berlin (mon-fri 22:00-05:00 Europe/Berlin)"
    )
    assert host.journal[-1].retry_at == WALL + at("2028-03-27T20:00"), "clocks were put forward on the 26th"
    said = len(host.said)
    host.tell(AskAgain(1, 7))
    host.wait(3600)
    assert (len(host.said), host.count(AskGo)) == (said, 0)


def test_a_host_asks_the_second_its_window_opens() -> None:
    """Not only when its interval is over."""
    host = staged("2028-03-27T19:59:30", NIGHT)
    host.wait(29)
    assert host.count(AskGo) == 0
    host.wait(1)
    assert host.count(AskGo) == 1
    host.go(7)
    assert host.attempt.stage is Stage.APPLYING


def test_the_time_that_is_left_must_be_enough_for_the_work() -> None:
    """Otherwise it waits for the next opening; what has begun is never cut."""
    assert staged("2028-03-28T02:50", NIGHT, expected_seconds=600).count(AskGo) == 1
    late = staged("2028-03-28T02:50", NIGHT, expected_seconds=601)
    assert late.count(AskGo) == 0
    assert late.journal[-1].retry_at == WALL + at("2028-03-28T20:00")
    begun = staged("2028-03-28T02:50", NIGHT, expected_seconds=600)
    begun.go(7)
    assert begun.wait(1200) == ()
    assert begun.attempt.stage is Stage.APPLYING


def test_each_closing_is_told_anew() -> None:
    """A host that was not let through in one night says until when it waits for the next one."""
    host = staged("2028-03-27T12:00", NIGHT)
    host.wait(at("2028-03-27T20:00") - host.at)
    host.wait(at("2028-03-28T03:00") - host.at)
    assert host.count(AskGo) == 1
    assert [told.retry_at for told in host.journal if told.code == "WINDOW"] == [
        WALL + at("2028-03-27T20:00"),
        WALL + at("2028-03-28T20:00"),
    ]


def test_a_window_without_a_zone_of_its_own_goes_by_the_hosts() -> None:
    """The message names the place whose clocks it means."""
    host = staged("2028-03-27T12:00", "mon 22:00-23:00 local", time_zone="America/New_York")
    assert "2028-03-27 22:00 to 2028-03-27 23:00 America/New_York (mon 22:00-23:00 local)" in host.journal[-1].message
    host.wait(at("2028-03-28T02:00") - host.at)
    assert host.count(AskGo) == 1


def test_a_host_whose_zone_nobody_knows_counts_as_closed_and_says_so() -> None:
    """It downloads, it is not refused, and it waits until that is mended."""
    host = staged("2028-03-27T12:00", "mon-sun 00:00-24:00 UTC", "mon 22:00-23:00 local", time_zone="Mars/Base")
    assert host.said[-1] == "7 STAGED WINDOW"
    assert host.journal[-1].message.startswith("the windows count as closed: zone: 'Mars/Base' is no time zone")
    host.wait(86400)
    assert host.count(AskGo) == 0
    assert host.attempt.stage is Stage.STAGED


def test_without_windows_no_zone_is_needed() -> None:
    """A host that names an odd zone is updated as ever."""
    assert staged("2028-03-27T12:00", time_zone="Mars/Base").count(AskGo) == 1


def test_what_a_person_decided_is_told_before_the_window() -> None:
    """The hold outlives it."""
    host = Host.start(at=at("2028-03-27T12:00"))
    override = Override(OverrideKind.HOLD, "root", 3, WALL + host.at + 1000)
    record = replace(host.state.record, override=override)
    host.state = replace(host.state, record=record, policy=Policy(windows=windows(NIGHT)))
    host.stage(7)
    assert host.said[-1] == "7 STAGED HELD_LOCALLY"
    host.wait(1001)
    assert host.said[-1] == "7 STAGED WINDOW"


def offered(when: str, attempt: Attempt | None, *texts: str, **policy: Any) -> Host:
    """A host that was told what the release is, by the server or by a person on it."""
    host = Host.start(at=at(when))
    host.state = replace(host.state, policy=Policy(windows=windows(*texts), **policy))
    host.tell(SessionOpened(1), Assigned(7, "1.1.0"))
    if attempt is not None:
        host.state = replace(host.state, record=replace(host.state.record, attempt=attempt))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    return host


def test_what_is_longer_than_every_window_is_skipped_before_a_byte_is_fetched() -> None:
    """Adjoining windows count as one; the long night of autumn does not count."""
    late = ("mon 22:00-24:00 local", "tue 00:00-01:00 local")
    assert offered("2028-03-27T12:00", None, *late, expected_seconds=10800).said[-1] == "7 DOWNLOADING"
    host = offered("2028-03-27T12:00", None, *late, expected_seconds=10801)
    assert host.said[-1] == "7 SKIPPED WINDOW_TOO_SHORT"
    assert host.journal[-1].message == "the work takes 10801 s, the longest window has 10800 s"
    assert (host.count(FillSlot), host.attempt) == (0, None)
    short = "sun 02:30-03:30 Europe/Berlin"
    assert offered("2028-10-28T12:00", None, short, expected_seconds=3601).said[-1] == "7 SKIPPED WINDOW_TOO_SHORT"


def test_a_zone_that_nobody_knows_skips_nothing() -> None:
    """When it is mended the host goes on."""
    host = offered("2028-03-27T12:00", None, "mon 22:00-23:00 Mars/Base", expected_seconds=10801)
    assert host.said[-1] == "7 DOWNLOADING"


def test_a_person_on_the_host_is_not_bound_by_windows() -> None:
    """Root there is the authority."""
    own = Attempt(0, "1.1.0", local=1)
    host = offered("2028-03-27T12:00", own, "mon 22:00-23:00 UTC", expected_seconds=10801)
    assert host.count(FillSlot) == 1
