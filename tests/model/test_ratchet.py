"""The ratchet of protocol section 2, explored: no false fork, no lying hello; and what each clause is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.identity import ratchet as server
from tests.model.explorer import explore
from tests.model.ratchet_world import FALSE_FORK, FIRST, LIE, Clauses, Model

if TYPE_CHECKING:
    import pytest

    from fleetroll_server.identity.ratchet import Accept, Fork, HelloFacts, IdentityRow, Stale
    from tests.model.explorer import Explored
    from tests.model.ratchet_world import World

LIMIT = 300_000


def _explored(clauses: Clauses = Clauses()) -> Explored[World]:  # noqa: B008 (frozen)
    return explore([FIRST], Model(clauses).steps, limit=LIMIT)


def test_no_honest_agent_is_called_a_copy_and_no_late_hello_is_believed() -> None:
    """Lost Welcomes, crashes around every write, full and failing disks, racing streams, any number of times."""
    found = _explored()
    found.holds("ratchet")
    assert found.states > 500


def test_without_the_check_of_the_epoch_a_late_hello_lies_and_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "is_late", lambda _row, _hello: False)
    _explored().fails("ratchet without STALE", LIE)
    _explored(Clauses(lies_are_watched=False)).fails("ratchet without STALE, further on", FALSE_FORK)


def test_with_the_epoch_checked_after_the_match_a_late_hello_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    real = server._judge_known_key

    def match_first(row: IdentityRow, hello: HelloFacts, *, in_force: bool) -> Accept | Stale | Fork:
        matches = server.moves_on(row, hello) or server.is_repeat(row, hello)
        fresh = server.HelloFacts(row.epoch, hello.key, hello.current, hello.next, hello.advances)
        return real(row, fresh if matches else hello, in_force=in_force)

    monkeypatch.setattr(server, "_judge_known_key", match_first)
    _explored().fails("ratchet with the match before STALE", LIE)


def test_without_moving_on_every_second_hello_is_a_false_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "moves_on", lambda _row, _hello: False)
    _explored().fails("ratchet without moving on", FALSE_FORK)


def test_without_repeats_a_lost_welcome_is_a_false_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "is_repeat", lambda _row, _hello: False)
    _explored().fails("ratchet without repeats", FALSE_FORK)


def test_without_writing_at_once_a_crash_is_a_false_fork() -> None:
    _explored(Clauses(write_at_once=False)).fails("ratchet written late", FALSE_FORK)


def test_without_next_on_disk_before_the_hello_a_lost_welcome_is_a_false_fork() -> None:
    _explored(Clauses(on_disk_before_hello=False)).fails("ratchet with next in memory", FALSE_FORK)


def test_with_two_hellos_in_flight_one_of_them_lies() -> None:
    _explored(Clauses(one_in_flight=False)).fails("ratchet with two hellos in flight", LIE)
