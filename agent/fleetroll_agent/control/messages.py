"""What goes over the control socket: one request as a line of JSON, then answers as lines of JSON, the last one final.

- ``{"line": "…"}`` is something to show meanwhile.
- ``{"started": 3}`` is the number of the attempt that was begun.
- ``{"done": {"exit": 0, "text": "…", "data": {…}}}`` ends the exchange, and so does
  ``{"error": {"code": "…", "message": "…", "remedy": "…"}}``.

Unknown fields are passed over.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError

MAX_LINE_BYTES = 64 * 1024
MAX_TEXT_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Ask:
    """A request.

    Attributes:
        command: what is wanted.
        product: of which product; empty = all, or the only one.
        version: to reach; empty = the newest that this host may take.
        source: path or address of a bundle or mirror; empty = the server.
        backup_id: to restore; empty = the last one.
        soak_seconds: health that must be held, 0 to a day.
        hold_seconds: how long the server's assignments wait afterwards, 0 to a year.
        retry_bad: a digest that failed here may be tried again.
        reason: in that person's words.
        person: who asks beside the account, such as whoever called sudo.
        local: number of an attempt to follow.
        wait: until the attempt has ended.
    """

    command: str
    product: str = ""
    version: str = ""
    source: str = ""
    backup_id: str = ""
    soak_seconds: float = 60.0
    hold_seconds: float = 7 * 86400.0
    retry_bad: bool = False
    reason: str = ""
    person: str = ""
    local: int = 0
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt of this host's own was begun, under this number."""

    local: int


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an exchange: the exit code for the command line, a sentence for people, data for programs."""

    exit: int
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
_LIMITS: dict[str, float] = {"soak_seconds": 86400.0, "hold_seconds": 366 * 86400.0, "local": 2**62}


def dump_ask(ask: Ask) -> bytes:
    """Return a request as a line."""
    return _line(asdict(ask))


def read_ask(line: bytes) -> Ask:
    """Read a request.

    Raises:
        RequestError: INVALID_ARGUMENT: it is none, or a field is out of bounds (whoever sent it).
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _refused("request", "it is no JSON") from error
    if not isinstance(document, dict):
        raise _refused("request", "it is no JSON object")
    known = {one.name: one for one in fields(Ask)}
    return Ask(**{name: _value(name, known[name].type, value) for name, value in document.items() if name in known})


def dump_line(text: str) -> bytes:
    """Return something to show meanwhile."""
    return _line({"line": text[:MAX_TEXT_CHARS]})


def dump_started(local: int) -> bytes:
    """Return the word that an attempt was begun."""
    return _line({"started": local})


def dump_done(done: Done) -> bytes:
    """Return the end of an exchange."""
    return _line({"done": asdict(done)})


def dump_error(error: FleetrollError) -> bytes:
    """Return the end of an exchange that was refused."""
    return _line({"error": {"code": error.code.value, "message": error.message, "remedy": error.remedy}})


def read_answer(line: bytes) -> str | Started | Done:
    """Read an answer: a line to show, the beginning of an attempt, or the end.

    Raises:
        AgentError: the agent's own refusal, with its code; INTERNAL: it is no answer.
    """
    try:
        document = json.loads(line)
        if "line" in document:
            return str(document["line"])
        if "started" in document:
            return Started(int(document["started"]))
        if "done" in document:
            return Done(int(document["done"]["exit"]), str(document["done"]["text"]), dict(document["done"]["data"]))
        said = document["error"]
        code = Code(said["code"]) if said["code"] in Code.__members__ else Code.INTERNAL
        refusal = AgentError if code in _OF_THE_HOST else RequestError
        error = refusal(str(said["message"]), code=code, remedy=str(said["remedy"]))
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        message = "the agent's answer can't be read"
        raise AgentError(message, code=Code.INTERNAL, remedy="run the same version as the agent") from wrong
    raise error


_OF_THE_HOST = frozenset({Code.UNAVAILABLE, Code.DOWNLOAD_FAILED, Code.INTERNAL, Code.STORE_FAILED, Code.DISK_FULL})


def _value(name: str, kind: object, value: Any) -> Any:  # noqa: ANN401 (JSON)
    if not isinstance(value, _TYPES[str(kind)]) or (isinstance(value, bool) and kind != "bool"):
        raise _refused(name, f"{value!r:.80} is not a {kind}")
    if isinstance(value, str) and (len(value) > MAX_TEXT_CHARS or "\0" in value):
        raise _refused(name, f"it has more than {MAX_TEXT_CHARS} characters, or a zero among them")
    if isinstance(value, str) and not is_text(value):
        raise _refused(name, "it is no text in UTF-8")
    if isinstance(value, (int, float)) and name in _LIMITS and not 0 <= value <= _LIMITS[name]:
        raise _refused(name, f"{value} is not 0 to {_LIMITS[name]:g}")
    return value


def is_text(value: str) -> bool:
    """Tell whether it can be written down and sent: what a terminal of another encoding says may be none."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def _refused(name: str, fault: str) -> RequestError:
    return RequestError(f"{name}: {fault}", code=Code.INVALID_ARGUMENT, remedy="correct it", field=name)
