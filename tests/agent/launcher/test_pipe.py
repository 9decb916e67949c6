"""The pipe: lines out of pieces, strict reading, and the agent's end on its loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.launcher import pipe
from fleetroll_agent.launcher.child_end import ChildEnd
from fleetroll_agent.launcher.errors import PipeError
from fleetroll_agent.launcher.events import Arm, Beat, Event, Extend, Goodbye, Heard, Hello, Promote, Recall
from fleetroll_agent.launcher.values import Authority
from tests.faults.launcher_bench import NEW, SERVER_1

ARM = pipe.arm(SERVER_1, NEW, Authority.SERVER, 3.0, 60.0)
MESSAGES: list[tuple[pipe.Message, Event]] = [
    (pipe.beat(True), Beat(healthy=True)),
    (pipe.hello(), Hello()),
    (pipe.heard(), Heard()),
    (ARM, Arm(SERVER_1, NEW, Authority.SERVER, 3.0, 60.0)),
    (pipe.promote(SERVER_1, NEW.digest), Promote(SERVER_1, NEW.digest)),
    (pipe.recall(SERVER_1), Recall(SERVER_1)),
    (pipe.extend(5.0), Extend(5.0)),
    (pipe.goodbye(), Goodbye()),
]


@pytest.mark.parametrize(("message", "event"), MESSAGES)
def test_every_message_of_the_agent_is_read_as_it_was_meant(message: pipe.Message, event: Event) -> None:
    line = pipe.encode(message)
    assert line.endswith(b"\n")
    assert pipe.to_event(pipe.parse(line[:-1])) == event


def test_an_unknown_message_is_of_a_newer_agent_and_passed_over() -> None:
    assert pipe.to_event({"type": "dance"}) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"type":1}',
        b"\xff",
        b'{"type":"beat"}',
        b'{"type":"beat","healthy":1}',
        b'{"type":"extend","seconds":-1}',
        b'{"type":"extend","seconds":NaN}',
        b'{"type":"promote","attempt":{"origin":"server","generation":0},"digest":""}',
        b'{"type":"recall","attempt":{"origin":"moon","generation":1}}',
        pipe.encode({**ARM, "slot": "../x"}).strip(),
        pipe.encode({**ARM, "digest": "x"}).strip(),
        pipe.encode({**ARM, "authority": "me"}).strip(),
    ],
)
def test_a_wrong_line_is_refused_with_a_sentence(line: bytes) -> None:
    with pytest.raises(PipeError, match="pipe"):
        pipe.to_event(pipe.parse(line))


@given(st.lists(st.binary(max_size=30).filter(lambda data: b"\n" not in data)), st.data())
def test_lines_come_out_whole_however_they_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader, got = pipe.Lines(), []
    while stream:
        count = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:count])
        stream = stream[count:]
    assert got == lines


@pytest.mark.parametrize("piece", [1000, pipe.LINE_BYTES, 10 * pipe.LINE_BYTES])
def test_a_line_that_is_too_long_comes_out_empty_and_the_next_one_whole(piece: int) -> None:
    stream = b"x" * (2 * pipe.LINE_BYTES) + b"\nnext\n"
    reader, got = pipe.Lines(), []
    for at in range(0, len(stream), piece):
        got += reader.feed(stream[at : at + piece])
    assert got == [b"", b"next"]


def test_a_message_that_is_too_long_is_the_writers_fault() -> None:
    with pytest.raises(PipeError, match="does not fit"):
        pipe.encode({"type": "x", "text": "y" * pipe.LINE_BYTES})


class Ends:
    """A child's end on the running loop, and the launcher's raw descriptors."""

    def __init__(self) -> None:
        read_fd, self.to_child = os.pipe()
        self.from_child, write_fd = os.pipe()
        self.heard: list[pipe.Message] = []
        self.closed = asyncio.Event()
        self.child = ChildEnd(read_fd, write_fd, self.heard.append, self.closed.set)
        self.open = [self.to_child, self.from_child]

    def close(self, handle: int) -> None:
        self.open.remove(handle)
        os.close(handle)


@pytest.fixture
async def ends() -> Any:
    made = Ends()
    made.child.attach(asyncio.get_running_loop())
    yield made
    made.child.close()
    for handle in list(made.open):
        made.close(handle)


async def test_the_agent_hears_the_launcher_and_is_heard(ends: Ends) -> None:
    os.write(ends.to_child, b'{"type":"stop"}\nrubbish\n{"type":"record","record":{}}\n')
    ends.child.send(pipe.hello())
    while len(ends.heard) < 2:
        await asyncio.sleep(0)
    assert [message["type"] for message in ends.heard] == ["stop", "record"]
    assert os.read(ends.from_child, 100) == pipe.encode(pipe.hello())


async def test_the_end_of_the_pipe_is_told_once_and_sending_afterwards_is_harmless(ends: Ends) -> None:
    ends.close(ends.to_child)
    await asyncio.wait_for(ends.closed.wait(), 5)
    assert not ends.child.attached
    ends.child.send(pipe.hello())


async def test_a_launcher_that_is_gone_is_noticed_when_sending(ends: Ends) -> None:
    ends.close(ends.from_child)
    ends.child.send(pipe.hello())
    assert ends.closed.is_set()


async def test_what_does_not_fit_into_the_pipe_waits_and_arrives_in_order(ends: Ends) -> None:
    for number in range(40):
        ends.child.send({"type": "x", "number": number, "text": "y" * 10_000})
    reader = pipe.Lines()
    numbers: list[int] = []
    os.set_blocking(ends.from_child, False)
    while len(numbers) < 40:
        await asyncio.sleep(0)
        with contextlib.suppress(BlockingIOError):
            numbers += [pipe.parse(line)["number"] for line in reader.feed(os.read(ends.from_child, 65536))]
    assert numbers == list(range(40))
    assert not ends.closed.is_set()


async def test_a_launcher_that_reads_nothing_for_too_long_counts_as_gone(ends: Ends) -> None:
    for _message in range(40):
        ends.child.send({"type": "x", "text": "y" * 60_000})
    assert ends.closed.is_set()


@pytest.mark.parametrize("text", ["", "3", "3,", "a,b", "3,-1"])
def test_a_wrong_pipe_option_is_refused(text: str) -> None:
    with pytest.raises(PipeError, match="R,W"):
        ChildEnd.parse_option(text)


def test_the_pipe_option_names_two_descriptors() -> None:
    assert ChildEnd.parse_option("3,4") == (3, 4)
