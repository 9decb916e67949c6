"""A digest that went back unproven: once is forgiven, twice is bad, an excuse is passed on before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.effects import Arm, FillSlot, FindTarget, PassExcuse, RunSelfTest
from fleetroll_agent.jobs.events import Assigned, LauncherTold, SelfTested, SessionOpened, SlotReady, TargetFound
from fleetroll_agent.jobs.state import boot_record as boot
from fleetroll_agent.launcher.excusing import excuse
from tests.faults.jobs import NEW, Host, boot_record, server, word

if TYPE_CHECKING:
    from fleetroll_agent.launcher import values as launcher


def went_back(times: int) -> launcher.Record:
    """Return the record of a host on which NEW went back so often, the last time in generation 6."""
    earlier = tuple(word(generation, "unproven", counted=True) for generation in range(7 - times, 6))
    return boot_record(
        last=word(6, "unproven", counted=True), earlier=earlier, unproven=((NEW, times),), highest_server=6
    )


def offered(boot: launcher.Record, **more: Any) -> Host:
    host = Host.start(boot=boot)
    host.tell(SessionOpened(1), Assigned(7, "1.1.0", 3, 60, **more))
    host.tell(TargetFound(host.last(FindTarget).job, NEW))
    return host


def test_once_is_forgiven() -> None:
    host = offered(went_back(1))
    assert (host.count(FillSlot), host.count(PassExcuse)) == (1, 0)


def test_twice_is_bad() -> None:
    host = offered(went_back(2))
    assert host.said[-1] == "7 FAILED BAD_DIGEST"
    assert host.count(FillSlot) == 0


def test_a_person_may_ask_for_it_again() -> None:
    assert offered(went_back(2), retry_bad=True).count(FillSlot) == 1


def test_an_excused_way_back_is_given_back_before_a_byte_is_fetched() -> None:
    host = offered(went_back(2), excused=True)
    assert host.effects[-2] == PassExcuse(7, NEW)
    assert isinstance(host.effects[-1], FillSlot)


def test_one_excuse_does_not_clear_three() -> None:
    host = offered(went_back(3), excused=True)
    assert host.said[-1] == "7 FAILED BAD_DIGEST"
    assert host.count(PassExcuse) == 1


def test_what_the_launcher_has_taken_back_is_not_asked_for_again() -> None:
    host = offered(excuse(went_back(2), server(7), NEW), excused=True)
    assert (host.count(PassExcuse), host.count(FillSlot)) == (0, 1)


def test_a_restart_remembers_the_excuse_and_asks_again() -> None:
    """Killed after its own write and before the launcher's: the offer does not come again, the attempt knows."""
    again = offered(went_back(2), excused=True).restart()
    again.tell(SessionOpened(2))
    again.tell(TargetFound(again.last(FindTarget).job, NEW))
    assert (again.count(PassExcuse), again.count(FillSlot)) == (1, 1)


def test_the_arming_comes_after_the_excuse_when_the_launcher_does_not_know_it_yet() -> None:
    host = offered(went_back(2), excused=True)
    host.tell(SlotReady(host.last(FillSlot).job))
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job))
    assert [type(effect) for effect in host.effects[-2:]] == [PassExcuse, Arm]


def test_the_arming_alone_is_enough_when_the_launcher_knows() -> None:
    host = offered(went_back(2), excused=True)
    host.tell(LauncherTold(excuse(boot(host.state), server(7), NEW)))
    host.tell(SlotReady(host.last(FillSlot).job))
    host.go(7)
    host.tell(SelfTested(host.last(RunSelfTest).job))
    assert host.count(PassExcuse) == 1


def test_the_outcome_that_was_excused_is_not_reported_again() -> None:
    host = offered(went_back(2), excused=True)
    before = list(host.said)
    host.tell(LauncherTold(excuse(boot(host.state), server(7), NEW)))
    assert host.said == before
