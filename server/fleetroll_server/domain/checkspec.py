"""What a check of a gate asks: checked field by field, stored and shown as it was said."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_CHECKS = 20
"""Of one rollout: more could not be told apart by a person who is on call."""
MAX_URL_CHARS = 2000
MAX_QUERY_CHARS = 4000
MAX_TEXT_CHARS = 500
OPERATORS = ("<", "<=", ">", ">=", "==")
DEFAULT_INTERVAL_SECONDS, DEFAULT_TIMEOUT_SECONDS, DEFAULT_IN_A_ROW = 30.0, 10.0, 3
_BOUNDS = {"interval_seconds": (5.0, 3600.0), "timeout_seconds": (1.0, 60.0), "in_a_row": (1, 100)}
_URL_REMEDY = "say http:// or https:// with a host"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Good: the answer's status is one of ``statuses``, and its body holds ``contains``. Any other answer is bad.

    Attributes:
        url: http or https, at most 2,000 characters.
        statuses: that are good, 100 to 599; empty for 200 to 299.
        contains: what the first 64 KB of the body must hold, at most 500 characters; empty for anything.
    """

    url: str
    statuses: tuple[int, ...] = ()
    contains: str = ""


@dataclass(frozen=True, slots=True)
class PrometheusCheck:
    """Good: every sample of the query's answer satisfies the comparison. No sample, or one that is no number: missing.

    Attributes:
        url: of the server, without ``/api/v1/query``; http or https.
        query: an instant query, 1 to 4,000 characters.
        operator: one of ``<``, ``<=``, ``>``, ``>=``, ``==``.
        threshold: a finite number.
    """

    url: str
    query: str
    operator: str
    threshold: float


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Good: the command ends with 0; bad: with 1; anything else is missing. Its words stand in the server's settings.

    Attributes:
        command: a name of ``gate_commands``.
    """

    command: str


Question = HttpCheck | PrometheusCheck | CommandCheck


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check. Every instance is valid: building one checks it.

    Attributes:
        name: small letters, digits, ``_``, ``.`` and ``-``, 1 to 63 characters; unique in its rollout.
        question: what is asked.
        interval_seconds: between two readings, 5 to 3,600.
        timeout_seconds: that one may take, 1 to 60.
        in_a_row: readings that it takes to act on bad or missing ones, 1 to 100.
    """

    name: str
    question: Question = field(default_factory=lambda: CommandCheck(""))
    interval_seconds: float = DEFAULT_INTERVAL_SECONDS
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    in_a_row: int = DEFAULT_IN_A_ROW

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RequestError: INVALID_ARGUMENT; the field is named (caller's fault).
        """
        if _NAME.fullmatch(self.name) is None:
            raise _refusal("name", self.name, "small letters, digits, _, . and -, at most 63")
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise _refusal(name, value, f"say {low:g} to {high:g}", self.name)
        _RULES[type(self.question)](self.question, self.name)

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        return asdict(self) | {"kind": _KINDS[type(self.question)]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> CheckSpec:
        """Read what :meth:`to_json` wrote.

        Raises:
            RequestError: it says what no check may (ours: it was checked when it was stored).
        """
        asked = dict(stored["question"])
        if "statuses" in asked:
            asked["statuses"] = tuple(asked["statuses"])
        question = _TYPES[stored["kind"]](**asked)
        rest = {name: stored[name] for name in ("name", *_BOUNDS)}
        return cls(question=question, **rest)


def check_all(specs: Sequence[CheckSpec], commands: Mapping[str, Sequence[str]]) -> None:
    """Refuse checks that can't stand together, or name a command that this server does not have.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    if len(specs) > MAX_CHECKS:
        raise _refusal("", len(specs), f"say at most {MAX_CHECKS} checks")
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise _refusal("name", name, "give each check a name of its own")
    for spec in specs:
        if isinstance(spec.question, CommandCheck) and spec.question.command not in commands:
            known = ", ".join(sorted(commands)) or "none: gate_commands is empty"
            remedy = f"name one of the server's settings (gate_commands): {known}"
            raise _refusal("command", spec.question.command, remedy, spec.name)


def _check_http(asked: HttpCheck, name: str) -> None:
    _check_url(asked.url, name)
    for status in asked.statuses:
        if not 100 <= status <= 599:  # noqa: PLR2004 (what HTTP has)
            raise _refusal("statuses", status, "say 100 to 599", name)
    if len(asked.contains) > MAX_TEXT_CHARS:
        raise _refusal("contains", asked.contains, f"say at most {MAX_TEXT_CHARS} characters", name)


def _check_prometheus(asked: PrometheusCheck, name: str) -> None:
    _check_url(asked.url, name)
    if not 1 <= len(asked.query) <= MAX_QUERY_CHARS:
        raise _refusal("query", asked.query, f"say 1 to {MAX_QUERY_CHARS} characters", name)
    if asked.operator not in OPERATORS:
        raise _refusal("operator", asked.operator, f"say one of {' '.join(OPERATORS)}", name)
    if not math.isfinite(asked.threshold):
        raise _refusal("threshold", asked.threshold, "say a finite number", name)


def _check_command(asked: CommandCheck, name: str) -> None:
    if not asked.command:
        raise _refusal("command", "", "say url, query or command", name)


def _check_url(url: str, name: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise _refusal("url", url, _URL_REMEDY, name) from None
    if not usable or len(url) > MAX_URL_CHARS or any(sign <= " " for sign in url):
        raise _refusal("url", url, _URL_REMEDY, name)
    if parts.username or parts.password:
        raise _refusal("url", parts.scheme + "://…", "leave user and password out: they would be shown", name)


_RULES: Mapping[type, Any] = {
    HttpCheck: _check_http,
    PrometheusCheck: _check_prometheus,
    CommandCheck: _check_command,
}
_KINDS = {HttpCheck: "http", PrometheusCheck: "prometheus", CommandCheck: "command"}
_TYPES: Mapping[str, type] = {kind: type_ for type_, kind in _KINDS.items()}


def _refusal(name: str, value: object, remedy: str, check: str = "") -> RequestError:
    """Name the check, the field, what was said, and what to say instead."""
    where = ".".join(part for part in (f"gate_checks[{check[:63]}]" if check else "gate_checks", name) if part)
    shown = repr(value)[:80]
    message = f"{where}: {shown} can't be used"
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field=where, value=shown)
