"""The pipe between launcher and agent: one JSON object per line, both ends' codec.

Launcher to agent: ``record``, ``armed``, ``dropped``, ``committed``, ``stop``. Agent to launcher: ``beat``, ``hello``,
``heard``, ``arm``, ``promote``, ``recall``, ``extend``, ``excuse``, ``goodbye``. Unknown types are passed over by both:
they are of a newer version of the other end.
"""

import json
from typing import Any, Callable, Dict, List, Optional

from fleetroll_agent.launcher.errors import PipeError
from fleetroll_agent.launcher.events import Arm, Beat, Event, Excuse, Extend, Goodbye, Heard, Hello, Promote, Recall
from fleetroll_agent.launcher.fields import Fields
from fleetroll_agent.launcher.record import attempt_from_json, attempt_to_json, slot_from_json
from fleetroll_agent.launcher.values import Attempt, Authority, SlotRef

Message = Dict[str, Any]

LINE_BYTES = 64 * 1024
"""Longest line, newline included."""
BEAT_SECONDS = 2.0
"""Between two beats of the agent."""
HOST_REFUSES_EXIT = 78
"""Exit code of an agent that the host's own state keeps from starting: no crash of a version that was committed."""
WRONG_NAME_EXIT = 79
"""Exit code of an agent on trial that was built as another version than its release: a second start changes nothing."""


def encode(message: Message) -> bytes:
    """Return the message as one line.

    Raises:
        PipeError: it is longer than a line may be (programmer's fault).
    """
    data = (json.dumps(message, sort_keys=True, separators=(",", ":")) + "\n").encode()
    if len(data) > LINE_BYTES:
        raise PipeError("a message of {} bytes does not fit into the pipe".format(len(data)), "INTERNAL")
    return data


class Lines:
    """Puts lines together again from whatever pieces arrive."""

    def __init__(self) -> None:
        """Start between two lines."""
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> List[bytes]:
        """Return the complete lines, without newlines; a line that is too long comes out as an empty one."""
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        lines: List[bytes] = []
        for piece in pieces:
            lines.append(b"" if self._skipping or len(piece) >= LINE_BYTES else piece)
            self._skipping = False
        if len(self._rest) >= LINE_BYTES:
            self._rest, self._skipping = b"", True
        return lines


def parse(line: bytes) -> Message:
    """Return the message in ``line``.

    Raises:
        PipeError: it is no object with a type.
    """
    try:
        message = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise _refused("a line is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _refused("a line has no type")
    return message


def to_event(message: Message) -> Optional[Event]:
    """Return what the agent says with ``message``; None for a type of a newer agent.

    Raises:
        PipeError: a field is missing or wrong; it is named.
    """
    reader = _READERS.get(message["type"])
    return None if reader is None else reader(Fields(message, message["type"], _refused))


def beat(healthy: bool) -> Message:  # noqa: FBT001 (the one fact of the message)
    """Say that the agent lives, every ``BEAT_SECONDS``."""
    return {"type": "beat", "healthy": healthy}


def hello() -> Message:
    """Say that the first Welcome came over the agent's own stream, in this process."""
    return {"type": "hello"}


def heard() -> Message:
    """Say that a message of the server was read after a Welcome, for the first time in this process."""
    return {"type": "heard"}


def arm(
    attempt: Attempt,
    slot: SlotRef,
    authority: Authority,
    soak_seconds: float,
    lease_seconds: float,
    retry_bad: bool = False,  # noqa: FBT001, FBT002 (a field of the message)
) -> Message:
    """Ask for a trial; the answer is ``armed`` or ``dropped``. ``retry_bad``: also of a digest that was bad here."""
    return {
        "type": "arm",
        "attempt": attempt_to_json(attempt),
        "slot": slot.name,
        "version": slot.version,
        "digest": slot.digest,
        "interpreter": {"path": slot.python, "abi": slot.abi},
        "authority": authority.value,
        "soak_seconds": soak_seconds,
        "lease_seconds": lease_seconds,
        "retry_bad": retry_bad,
    }


def promote(attempt: Attempt, digest: str) -> Message:
    """Pass the server's Promote on; answered by ``record`` and, when all else is there, by ``committed``."""
    return {"type": "promote", "attempt": attempt_to_json(attempt), "digest": digest}


def recall(attempt: Attempt) -> Message:
    """Ask for the way back out of the trial of ``attempt``."""
    return {"type": "recall", "attempt": attempt_to_json(attempt)}


def extend(seconds: float) -> Message:
    """Ask for more time: the server is busy, or a command has to come to its end before this process may."""
    return {"type": "extend", "seconds": seconds}


def excuse(attempt: Attempt, digest: str) -> Message:
    """Ask that the last unproven way back of ``digest`` before ``attempt`` does not count; answered by ``record``."""
    return {"type": "excuse", "attempt": attempt_to_json(attempt), "digest": digest}


def goodbye() -> Message:
    """Say that the end which follows is on purpose."""
    return {"type": "goodbye"}


def _read_arm(fields: Fields) -> Event:
    attempt = attempt_from_json(fields.inner("attempt"))
    interpreter = fields.inner("interpreter")
    slot = slot_from_json(
        Fields(
            {
                "slot": fields.text("slot"),
                "version": fields.text("version"),
                "digest": fields.text("digest"),
                "interpreter": {"path": interpreter.text("path"), "abi": interpreter.text("abi")},
            },
            "arm",
            _refused,
        ),
    )
    return Arm(
        attempt=attempt,
        slot=slot,
        authority=fields.choice("authority", Authority),
        soak_seconds=fields.number("soak_seconds", 0),
        lease_seconds=fields.number("lease_seconds", 0),
        retry_bad=not fields.absent("retry_bad") and fields.boolean("retry_bad"),
    )


_READERS: Dict[str, Callable[[Fields], Event]] = {
    "beat": lambda fields: Beat(fields.boolean("healthy")),
    "hello": lambda _fields: Hello(),
    "heard": lambda _fields: Heard(),
    "arm": _read_arm,
    "promote": lambda fields: Promote(attempt_from_json(fields.inner("attempt")), fields.text("digest")),
    "recall": lambda fields: Recall(attempt_from_json(fields.inner("attempt"))),
    "extend": lambda fields: Extend(fields.number("seconds", 0)),
    "excuse": lambda fields: Excuse(attempt_from_json(fields.inner("attempt")), fields.text("digest")),
    "goodbye": lambda _fields: Goodbye(),
}


def _refused(why: str) -> PipeError:
    return PipeError("the pipe between launcher and agent: {}".format(why), "INVALID_ARGUMENT")
