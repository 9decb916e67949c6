"""The rules of a follower, without a wire: cursor, wholeness, silence, waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll.v1 import agents_pb2, rollouts_pb2
from fleetroll.v1 import events_pb2 as pb
from fleetroll_client import Changed, Connection, Link, Patience, Resynced, Snapshot
from fleetroll_client.course import BrokenContractError, Course

if TYPE_CHECKING:
    from fleetroll_client import Update

SENT = datetime(2030, 1, 2, tzinfo=UTC)


def message(cursor: bytes = b"", **said: Any) -> pb.WatchEventsResponse:
    made = pb.WatchEventsResponse(cursor=cursor, **said)
    made.sent_at.FromDatetime(SENT)
    return made


def page(*names: str, cursor: bytes = b"") -> pb.WatchEventsResponse:
    """A page of hosts; the one with a cursor is the last."""
    return message(
        cursor, snapshot=pb.Snapshot(last=bool(cursor), agents=[agents_pb2.Agent(id=each) for each in names])
    )


def changes(cursor: bytes, *ids: str) -> pb.WatchEventsResponse:
    return message(cursor, changes=pb.Changes(events=[pb.Event(id=each) for each in ids]))


def alive(cursor: bytes) -> pb.WatchEventsResponse:
    return message(cursor, alive=pb.Alive())


def resync(reason: str = "too slow") -> pb.WatchEventsResponse:
    return message(resync=pb.Resync(reason=reason))


def live(cursor: bytes = b"c") -> Course:
    course = Course()
    course.opened()
    course.take(page(cursor=cursor), 0)
    return course


def links(updates: list[Update]) -> list[Link]:
    return [each.link for each in updates if isinstance(each, Connection)]


def test_a_snapshot_is_handed_over_whole_and_only_then_it_is_live() -> None:
    course = Course()
    course.opened()
    assert links(course.take(page("a"), 1)) == [Link.CONNECTING]
    assert course.cursor == b""
    snapshot, connection = course.take(page("b", cursor=b"c1"), 2)
    assert isinstance(snapshot, Snapshot)
    assert [agent.id for agent in snapshot.agents] == ["a", "b"]
    assert (snapshot.cursor, snapshot.sent_at) == (b"c1", SENT)
    assert connection == Connection(Link.LIVE, 2, sent_at=SENT)
    assert course.cursor == b"c1"


def test_pages_of_a_stream_that_broke_are_thrown_away() -> None:
    course = Course()
    course.opened()
    course.take(page("gone"), 1)
    course.lost("cut", 0.5)
    course.opened()
    snapshot = course.take(page("b", cursor=b"c1"), 2)[0]
    assert isinstance(snapshot, Snapshot)
    assert [agent.id for agent in snapshot.agents] == ["b"]


def test_changes_come_as_they_are_with_their_cursor() -> None:
    course = live()
    rollout = rollouts_pb2.Rollout(id="r")
    switch, host = rollouts_pb2.KillSwitch(scope="global"), rollouts_pb2.RolloutHost(agent_id="a")
    said = pb.Changes(
        events=[pb.Event(id="e1"), pb.Event(id="e2")], rollouts=[rollout], kill_switches=[switch],
        agents=[agents_pb2.Agent(id="a")], rollout_hosts=[host],
    )  # fmt: skip
    changed, connection = course.take(message(b"d", changes=said), 3)
    assert changed == Changed(b"d", SENT, tuple(said.events), (rollout,), (switch,), tuple(said.agents), (host,))
    assert connection == Connection(Link.LIVE, 3, sent_at=SENT)
    assert course.cursor == b"d"


def test_a_resync_keeps_the_cursor_until_its_snapshot_is_whole() -> None:
    """Cut in between, the follower comes back with the old one and is told again."""
    course = live(b"old")
    assert course.take(resync("why"), 1)[0] == Resynced("why")
    course.take(page("a"), 2)
    course.lost("cut", 0.5)
    assert course.cursor == b"old"
    course.opened()
    course.take(resync(), 3)
    course.take(page("a", cursor=b"new"), 4)
    assert course.cursor == b"new"


def test_a_sign_of_life_moves_the_cursor_and_says_nothing_else() -> None:
    course = live()
    assert course.take(alive(b"d"), 5) == [Connection(Link.LIVE, 5, sent_at=SENT)]
    assert course.cursor == b"d"
    assert course.take(message(b"e"), 6) == [Connection(Link.LIVE, 6, sent_at=SENT)], "a kind of a newer server"
    assert course.cursor == b"e"


def test_a_sign_of_life_before_the_first_snapshot_makes_nothing_whole() -> None:
    """A server may say that it is there while it reads what stands."""
    course = Course()
    course.opened()
    assert links(course.take(alive(b"x"), 1)) == [Link.CONNECTING]
    assert course.cursor == b""
    assert links(course.take(page("a", cursor=b"c"), 2)) == [Link.LIVE]


def test_a_sign_of_life_within_a_snapshot_makes_nothing_whole() -> None:
    course = Course()
    course.opened()
    course.take(page("a"), 1)
    assert links(course.take(alive(b""), 2)) == [Link.CONNECTING]
    assert isinstance(course.take(page(cursor=b"c"), 3)[0], Snapshot)


def test_changes_within_a_snapshot_break_the_contract() -> None:
    course = Course()
    course.opened()
    course.take(page("a"), 1)
    with pytest.raises(BrokenContractError):
        course.take(changes(b"x", "e1"), 2)
    assert course.cursor == b""


def test_changes_where_a_snapshot_is_owed_break_the_contract() -> None:
    course = live()
    course.take(resync(), 1)
    with pytest.raises(BrokenContractError):
        course.take(changes(b"x", "e1"), 2)
    assert course.cursor == b"c"


@pytest.mark.parametrize("seconds", [-(10**14), 10**12, 10**18])
def test_a_time_that_there_is_not_breaks_the_contract_and_nothing_else(seconds: int) -> None:
    for said in (page("a", cursor=b"x"), changes(b"x", "e1"), message(b"x", alive=pb.Alive())):
        course = live()
        said.sent_at.seconds = seconds
        with pytest.raises(BrokenContractError, match="no time"):
            course.take(said, 2)
        assert course.cursor == b"c"


def test_silence_of_a_live_stream_ends_it() -> None:
    course = live()
    assert course.patience_seconds == 5
    assert course.silent() is None
    assert "5 s" in course.given_up()


def test_a_first_snapshot_is_waited_for_longer() -> None:
    """A server reads it whole before it sends the first page."""
    course = Course()
    course.opened()
    assert course.patience_seconds == 30
    course.take(page("a"), 1)
    assert course.patience_seconds == 30
    assert course.silent() is None
    assert "30 s" in course.given_up()


def test_what_is_known_is_old_from_a_resync_until_its_snapshot_is_whole() -> None:
    course = live()
    resynced, connection = course.take(resync("too\x1b slow" + "x" * 300), 7)
    assert isinstance(resynced, Resynced)
    assert isinstance(connection, Connection)
    assert (connection.link, connection.heard_at, connection.attempt) == (Link.STALE, 7, 0)
    assert connection.why.startswith("a snapshot is awaited: too\\x1b slow")
    assert len(connection.why) <= 201
    for said in (alive(b""), page("a"), alive(b""), page("b")):
        assert course.take(said, 8) == [replace(connection, heard_at=8)]
    assert links(course.take(page(cursor=b"d"), 9)) == [Link.LIVE]


def test_a_resync_of_a_stream_that_came_back_is_of_the_same_try() -> None:
    course = live()
    course.lost("cut", 0.5)
    course.lost("cut", 0.5)
    course.opened()
    connection = course.take(resync(), 7)[1]
    assert isinstance(connection, Connection)
    assert (connection.link, connection.attempt, connection.retry_seconds) == (Link.STALE, 2, 0)


def test_the_servers_clock_is_told_with_every_sign_of_life_that_says_it() -> None:
    course = Course()
    assert course.connection.sent_at is None
    course.opened()
    course.take(pb.WatchEventsResponse(snapshot=pb.Snapshot()), 1)
    assert course.connection.sent_at is None, "it was never said"
    course.take(page("a"), 2)
    assert course.connection.sent_at == SENT
    later = message(b"c", alive=pb.Alive())
    later.sent_at.FromDatetime(SENT + timedelta(seconds=2))
    course.take(page(cursor=b"c"), 3)
    assert course.take(later, 5) == [Connection(Link.LIVE, 5, sent_at=SENT + timedelta(seconds=2))]
    assert course.lost("cut", 0.5).sent_at == SENT + timedelta(seconds=2), "what was heard last, as heard_at is"


def test_silence_before_a_new_snapshot_is_told_and_borne_for_a_while() -> None:
    course = live()
    course.take(resync(), 7)
    assert course.patience_seconds == 5
    told = course.silent()
    assert told is not None
    assert links(told) == [Link.STALE]
    assert course.connection.heard_at == 7
    assert course.connection.why == "nothing heard for 5 s; a snapshot is awaited"
    assert course.patience_seconds == 25
    assert course.silent() is None
    assert "30 s" in course.given_up()


def test_a_page_after_silence_is_told_and_the_next_one_has_all_its_time() -> None:
    course = live()
    course.take(resync("why"), 7)
    course.silent()
    course.take(page("a"), 20)
    assert course.connection.why == "a snapshot is awaited: why"
    assert course.patience_seconds == 5
    assert links(course.silent() or []) == [Link.STALE]
    assert course.patience_seconds == 25


def test_a_stream_that_comes_back_from_silence_is_live_again() -> None:
    course = live()
    course.take(resync(), 7)
    course.silent()
    assert links(course.take(page("a", cursor=b"d"), 20)) == [Link.LIVE]
    assert course.patience_seconds == 5


def test_what_is_lost_is_told_with_the_number_of_tries_and_since_when() -> None:
    course = live()
    course.take(alive(b"d"), 9)
    first = course.lost("line\x1b[2J cut " + "x" * 300, 0.5)
    assert (first.link, first.heard_at, first.attempt, first.retry_seconds) == (Link.RECONNECTING, 9, 1, 0.1)
    assert "\x1b" not in first.why
    assert len(first.why) <= 201
    assert not first.live
    assert first.silent_seconds(12) == 3
    assert course.lost("again", 0.5).attempt == 2
    course.opened()
    assert course.take(alive(b"e"), 20) == [Connection(Link.LIVE, 20, sent_at=SENT)]


def test_waits_double_up_to_their_bound_with_jitter() -> None:
    course = live()
    waits = [course.lost("cut", 0.999999).retry_seconds for _ in range(9)]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5], rel=1e-3)
    assert live().lost("cut", 0).retry_seconds == 0


def test_a_stream_that_breaks_at_each_snapshot_is_not_hurried() -> None:
    """Or a server would read one snapshot after the other."""
    course = live()
    for expected in (0.2, 0.4, 0.8):
        assert course.lost("cut", 1).retry_seconds == pytest.approx(expected)
        course.opened()
        course.take(page("a", cursor=b"c"), 1)
    course.take(changes(b"d"), 2)
    assert course.lost("cut", 1).retry_seconds == pytest.approx(0.2)


def test_patience_is_the_callers() -> None:
    course = Course(b"c", Patience(silent_seconds=1, snapshot_seconds=2, first_wait_seconds=3, longest_wait_seconds=4))
    course.opened()
    assert course.patience_seconds == 2
    course.take(alive(b"c"), 0)
    assert course.patience_seconds == 1
    assert [course.lost("x", 1).retry_seconds for _ in range(3)] == [3, 4, 4]


PAGE_EVENTS = 3


class MadeUpServer:
    """A log of numbered events; sends like the real one: batches after a cursor, or pages and a cursor."""

    def __init__(self, committed: int) -> None:
        self.committed = committed
        self.kept_from = 0

    def stream(self, cursor: bytes) -> list[pb.WatchEventsResponse]:
        place = int(cursor) if cursor else None
        if place is None or place < self.kept_from:
            snapshot = [page("a"), page("b"), page(cursor=str(self.committed).encode())]
            return snapshot if place is None else [resync(), *snapshot]
        sent = []
        while place < self.committed:
            until = min(self.committed, place + PAGE_EVENTS)
            sent.append(changes(str(until).encode(), *(str(number) for number in range(place, until))))
            place = until
        return [*sent, alive(str(place).encode())]


CUTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.booleans()), max_size=30)


@given(CUTS)
def test_wherever_streams_are_cut_each_event_comes_once_or_a_snapshot_stands_for_it(
    cuts: list[tuple[int, int, bool]],
) -> None:
    """Cut after so many messages, with so many new events, now and then with the log pruned behind the follower."""
    server, course = MadeUpServer(5), Course()
    known: int | None = None
    for messages, more, pruned in [*cuts, (99, 0, False)]:
        course.opened()
        for sent in server.stream(course.cursor)[:messages]:
            for update in course.take(sent, 0):
                match update:
                    case Snapshot():
                        assert [agent.id for agent in update.agents] == ["a", "b"]
                        known = int(update.cursor)
                    case Changed():
                        assert known is not None
                        assert [int(event.id) for event in update.events] == list(range(known, int(update.cursor)))
                        known = int(update.cursor)
        course.lost("cut", 0.5)
        server.committed += more
        server.kept_from = server.committed if pruned else server.kept_from
    assert known is not None
    course.opened()
    for sent in server.stream(course.cursor):
        course.take(sent, 0)
    assert int(course.cursor) == server.committed
