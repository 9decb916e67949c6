"""The agent's end of the pipe, on the agent's own event loop. Nothing here blocks."""

import os
from collections import deque
from typing import Any, Callable, Deque, Tuple

from fleetroll_agent.launcher.errors import PipeError
from fleetroll_agent.launcher.pipe import LINE_BYTES, Lines, Message, encode, parse

_WAITING_BYTES = 16 * LINE_BYTES
"""A launcher that reads nothing for this much is gone or stopped; the agent ends."""


class ChildEnd:
    """Reads the launcher's messages and sends the agent's.

    The end of the pipe means that the launcher is gone: ``on_closed`` is called once, and the agent MUST end then.
    """

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        on_message: Callable[[Message], None],
        on_closed: Callable[[], None],
    ) -> None:
        """Take over both descriptors (the two numbers of ``--launcher-pipe R,W``)."""
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_closed = on_closed
        self._lines = Lines()
        self._waiting: Deque[bytes] = deque()
        self._waiting_bytes = 0
        self._loop: Any = None

    @classmethod
    def parse_option(cls, text: str) -> Tuple[int, int]:
        """Return the two descriptors of ``R,W``.

        Raises:
            PipeError: it is not two numbers.
        """
        first, comma, second = text.partition(",")
        if not (comma and first.isdigit() and second.isdigit()):
            raise PipeError("--launcher-pipe is {!r}, not R,W".format(text), "INVALID_ARGUMENT")
        return int(first), int(second)

    def attach(self, loop: Any) -> None:  # noqa: ANN401 (any asyncio loop; asyncio is not imported by the launcher)
        """Begin to read on ``loop`` (an ``asyncio.AbstractEventLoop``)."""
        for descriptor in (self._read_fd, self._write_fd):
            os.set_blocking(descriptor, False)
            os.set_inheritable(descriptor, False)  # noqa: FBT003 (its signature)
        self._loop = loop
        loop.add_reader(self._read_fd, self._readable)

    @property
    def attached(self) -> bool:
        """Tell whether the pipe is open and read."""
        return self._loop is not None

    def send(self, message: Message) -> None:
        """Send now or as soon as the pipe has room; after the end it does nothing (``on_closed`` was called).

        Raises:
            PipeError: the message is too long (programmer's fault).
        """
        data = encode(message)
        if self._loop is None:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._flush()

    def close(self) -> None:
        """Close both ends; nothing is called any more."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._read_fd)
        self._loop.remove_writer(self._write_fd)
        self._loop = None
        os.close(self._read_fd)
        os.close(self._write_fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._read_fd, LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        for line in self._lines.feed(data):
            message = _message(line)
            if message and self._loop is not None:
                self._on_message(message)

    def _flush(self) -> None:
        while self._waiting:
            try:
                count = os.write(self._write_fd, self._waiting[0])
            except BlockingIOError:
                break
            except OSError:
                self._end()
                return
            self._waiting_bytes -= count
            rest = self._waiting.popleft()[count:]
            if rest:
                self._waiting.appendleft(rest)
        if self._waiting_bytes > _WAITING_BYTES:
            self._end()
        elif self._waiting:
            self._loop.add_writer(self._write_fd, self._flush)
        else:
            self._loop.remove_writer(self._write_fd)

    def _end(self) -> None:
        self.close()
        self._on_closed()


def _message(line: bytes) -> Message:
    """Return the message, or an empty one for a line of which nothing can be made."""
    try:
        return parse(line)
    except PipeError:
        return {}
