"""The world around the ratchet: one agent, two servers on one database, a bad network, a failing disk.

Both sides' decisions are the real functions. Bounds: at most ``LATE`` hellos of dropped streams are on their way at one
time; everything else (streams, hellos, crashes, lost answers) may happen any number of times, so the space is complete:

- values of the ratchet are renamed by first appearance, since the rules only compare them;
- epochs are reduced to "still the row's" or not: an epoch never comes back; counters that decide nothing are left out.

Servers need no state of their own: what one of them does is one transaction on the row, and a crash before it is a lost
hello, after it a lost Welcome. So any number of servers is covered.

The host may use a Go while it is in a session; a hello says whether it had done so when its payload was built. That is
what a late hello would lie about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fleetroll_agent.identity.ratchet import Ratchet, on_welcome
from fleetroll_server.identity import ratchet as server
from fleetroll_server.identity.ratchet import Accept, Fork, HelloFacts, IdentityRow, Stale
from tests.model.explorer import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = 3
KEY = b"key"
STALE_EPOCH = -1
"""Stands for every epoch that is no longer the row's."""

FALSE_FORK = "an honest agent is called a copy"
LIE = "a hello says STAGED for a host that is applying"


class Hello(NamedTuple):
    """A hello on its way. ``epoch``: 0 while the nonce's epoch is the row's."""

    epoch: int
    pair: Ratchet
    staged: bool


class Stream(NamedTuple):
    """A stream that the agent holds: challenged, hello sent, Welcome on its way (``acked``), or in session."""

    phase: str
    epoch: int
    hello: Hello | None = None
    acked: bytes = b""
    go: bool = False


@dataclass(frozen=True)
class World:
    """One state.

    Attributes:
        acked: the row's ratchet.
        disk: the agent's pair on its disk.
        memory: the pair that its next hello shows.
        streams: that the agent holds, at most one; at most two where that clause is removed.
        late: hellos of streams that the agent has dropped.
        applying: a Go was used.
    """

    acked: bytes
    disk: Ratchet
    memory: Ratchet
    streams: tuple[Stream, ...] = ()
    late: tuple[Hello, ...] = ()
    applying: bool = False


@dataclass(frozen=True)
class Clauses:
    """Clauses of the agent's half; a test removes one at a time.

    Attributes:
        one_in_flight: the older stream is dropped when a hello's payload is built.
        write_at_once: a Welcome's write is done before its session is used.
        on_disk_before_hello: ``next`` is written before a hello shows it.
        lies_are_watched: off: the search goes on behind a lying hello, to what else it leads to.
    """

    one_in_flight: bool = True
    write_at_once: bool = True
    on_disk_before_hello: bool = True
    lies_are_watched: bool = True


FIRST = World(b"0", Ratchet(b"0", b"1"), Ratchet(b"0", b"1"))
FRESH = b"fresh"
NEXT_DRAWN = b"drawn"


class Model:
    """The steps of the world under a set of clauses."""

    def __init__(self, clauses: Clauses = Clauses()) -> None:
        self.clauses = clauses

    def steps(self, world: World) -> Iterator[tuple[str, World | Broken]]:
        """Yield every step out of ``world``."""
        for name, after in self._steps(world):
            yield name, after if isinstance(after, Broken) else canonical(after)

    def _steps(self, world: World) -> Iterator[tuple[str, World | Broken]]:
        yield "agent crashes", replace(_dropped(world), memory=world.disk)
        if len(world.streams) < (1 if self.clauses.one_in_flight else 2):
            yield "challenged", replace(world, streams=(*world.streams, Stream("challenged", 0)))
        if not self.clauses.write_at_once and world.memory != world.disk:
            yield "late write", replace(world, disk=world.memory)
        for number, stream in enumerate(world.streams):
            rest = world.streams[:number] + world.streams[number + 1 :]
            yield "stream dropped", _dropped(world, number)
            yield from self._stream_steps(world, stream, rest)
        for number, hello in enumerate(world.late):
            rest_late = world.late[:number] + world.late[number + 1 :]
            yield "late hello lost", replace(world, late=rest_late)
            yield from self._judged(replace(world, late=rest_late), hello, None)

    def _stream_steps(
        self, world: World, stream: Stream, rest: tuple[Stream, ...]
    ) -> Iterator[tuple[str, World | Broken]]:
        if stream.phase == "challenged":
            yield "hello sent", self._sent(world, stream, rest)
        elif stream.phase == "sent" and stream.hello is not None:
            yield from self._judged(replace(world, streams=rest), stream.hello, stream)
        elif stream.phase == "welcomed":
            yield from self._welcomed(world, stream, rest)
        elif stream.phase == "session":
            if stream.epoch == 0 and not stream.go:
                yield "Go granted", replace(world, streams=(*rest, stream._replace(go=True)))
            if stream.go:
                yield "Go used", replace(world, applying=True, streams=(*rest, stream._replace(go=False)))

    def _sent(self, world: World, stream: Stream, rest: tuple[Stream, ...]) -> World:
        """Build the payload and send it."""
        pair = world.memory
        if not self.clauses.on_disk_before_hello:
            pair = replace(pair, next=NEXT_DRAWN)
        hello = Hello(stream.epoch, pair, staged=not world.applying)
        return replace(world, memory=pair, streams=(*rest, Stream("sent", stream.epoch, hello)))

    def _judged(self, world: World, hello: Hello, stream: Stream | None) -> Iterator[tuple[str, World | Broken]]:
        """Let a server judge: one transaction. ``stream``: the one that still waits for the answer; None: dropped."""
        row = IdentityRow(public_key=KEY, acked=world.acked)
        facts = HelloFacts(hello.epoch, KEY, hello.pair.current, hello.pair.next, hello.pair.advances)
        verdict = server.judge(row, facts)
        if isinstance(verdict, Fork):
            yield "fork", Broken(FALSE_FORK)
        elif isinstance(verdict, Stale):
            yield "stale", world
        elif isinstance(verdict, Accept) and hello.staged and world.applying and self.clauses.lies_are_watched:
            yield "accepted", Broken(LIE)
        elif isinstance(verdict, Accept):
            after = _older(replace(world, acked=verdict.row.acked))
            yield "accepted, Welcome lost", after
            if stream is not None:
                welcomed = Stream("welcomed", 0, acked=verdict.row.acked)
                yield "accepted", replace(after, streams=(*after.streams, welcomed))

    def _welcomed(self, world: World, stream: Stream, rest: tuple[Stream, ...]) -> Iterator[tuple[str, World | Broken]]:
        """Let the agent take its Welcome; its disk may fail, and it may die around the write."""
        pair = on_welcome(world.memory, stream.acked, FRESH)
        used = replace(world, streams=(*rest, Stream("session", stream.epoch)))
        if not self.clauses.write_at_once:
            yield "Welcome, not written yet", replace(used, memory=pair)
            return
        yield "Welcome written", replace(used, disk=pair, memory=pair)
        if pair != world.memory:
            yield "Welcome, disk full", used
            yield "Welcome, write failed after the rename", replace(used, disk=pair)
            yield "Welcome written, crash", replace(_dropped(world), disk=pair, memory=pair)


def _older(world: World) -> World:
    """Raise the row's epoch: every nonce and session that there is belongs to an older one."""
    streams = tuple(
        stream._replace(epoch=STALE_EPOCH, hello=stream.hello and stream.hello._replace(epoch=STALE_EPOCH))
        for stream in world.streams
    )
    return replace(world, streams=streams, late=tuple(hello._replace(epoch=STALE_EPOCH) for hello in world.late))


def _dropped(world: World, number: int | None = None) -> World:
    """Drop stream ``number`` (None: all). A hello that was sent may still arrive, within the bound."""
    gone = [stream for index, stream in enumerate(world.streams) if number in (None, index)]
    kept = tuple(stream for index, stream in enumerate(world.streams) if number not in (None, index))
    late = world.late + tuple(stream.hello for stream in gone if stream.phase == "sent" and stream.hello is not None)
    return replace(world, streams=kept, late=late[-LATE:])


def canonical(world: World) -> World:
    """Rename the ratchet's values by first appearance, put what has no order into one, and leave counters out."""
    names: dict[bytes, bytes] = {}

    def named(value: bytes) -> bytes:
        return names.setdefault(value, b"%d" % len(names)) if value else value

    def pair(ratchet: Ratchet) -> Ratchet:
        return Ratchet(named(ratchet.current), named(ratchet.next))

    def said(hello: Hello) -> Hello:
        return hello._replace(pair=pair(hello.pair))

    def held(stream: Stream) -> Stream:
        return stream._replace(hello=stream.hello and said(stream.hello), acked=named(stream.acked))

    return World(
        acked=named(world.acked),
        disk=pair(world.disk),
        memory=pair(world.memory),
        streams=tuple(sorted(map(held, world.streams), key=repr)),
        late=tuple(sorted(map(said, world.late), key=repr)),
        applying=world.applying,
    )
