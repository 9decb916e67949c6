"""Fields of a policy as people type and read them; what a value may be is the server's to say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from fleetroll.v1 import policy_pb2
from fleetroll_cli.limits import OFFLINE
from fleetroll_cli.parse import INT32_MAX, duration
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS = ("channel", "pin")
_FLAGS = ("allow_major", "updates_off")
_LISTS = ("windows", "blackouts")
_COUNTS = ("max_concurrent", "max_failed", "min_sample", "max_downloading", "max_attempts")
_DURATIONS = ("bake", "soak", "lease", "not_after")
FIELDS = (*_TEXTS, *_FLAGS, *_LISTS, "expected", *_COUNTS, "failure_limit", *_DURATIONS, "offline_policy")
"""Names of the fields, as they are typed and shown."""
_NOTHING = {"channel": "any", "pin": "none"}
_YES = {"yes": True, "true": True, "no": False, "false": False}
_NUMBER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_SHARE = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,6})?(%?)", re.ASCII)
_PERCENT = 100


def read_values(pairs: list[str]) -> policy_pb2.PolicyValues:
    """Read ``pin=minor 1.4``, ``windows=mon-fri 22:00-05:00 local; sat 00:00-24:00 local``, ``soak=90s``.

    Raises:
        RequestError: a pair names no field, comes twice, or has a value of another kind (caller's fault).
    """
    wire, seen = policy_pb2.PolicyValues(), set[str]()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in FIELDS:
            raise _refused("field", pair, "is not field=value", f"known fields are {', '.join(FIELDS)}")
        if name in seen:
            raise _refused(name, value, "comes twice", "say it once")
        seen.add(name)
        _put(wire, name, value.strip())
    return wire


def _put(wire: policy_pb2.PolicyValues, name: str, value: str) -> None:
    """Set one field."""
    if name in _TEXTS:
        setattr(wire, name, _text(name, value))
    elif name in _FLAGS:
        setattr(wire, name, _flag(name, value))
    elif name in _LISTS:
        texts = [] if value == "none" else [text.strip() for text in value.split(";")]
        getattr(wire, name).CopyFrom(policy_pb2.PolicyTexts(texts=texts))
    elif name == "expected":
        wire.expected.FromTimedelta(duration(value, name))
    elif name in _DURATIONS:
        getattr(wire.limits, name).FromTimedelta(duration(value, name))
    elif name in _COUNTS:
        setattr(wire.limits, name, _count(name, value))
    elif name == "failure_limit":
        wire.limits.failure_limit = _share(value)
    elif value in OFFLINE and value:
        wire.limits.offline_policy = OFFLINE[value]
    else:
        raise _refused(name, value, "is no policy", "wait, skip or fail")


def _text(name: str, value: str) -> str:
    """Read a text; the word that lifts it is empty on the wire."""
    if not value:
        raise _refused(name, value, "is empty", f"say {_NOTHING[name]} to lift it")
    return "" if value == _NOTHING[name] else value


def _flag(name: str, value: str) -> bool:
    if value not in _YES:
        raise _refused(name, value, "is neither yes nor no", "say yes or no")
    return _YES[value]


def _count(name: str, value: str) -> int:
    if _NUMBER.fullmatch(value) is None or abs(int(value)) > INT32_MAX:
        raise _refused(name, value, "is no whole number", "say a number of hosts or tries")
    return int(value)


def _share(value: str) -> float:
    """Read ``0.02`` or ``2%``."""
    match = _SHARE.fullmatch(value)
    if match is None:
        raise _refused("failure_limit", value, "is no share", "write it like 0.02 or 2%")
    return float(value[:-1]) / _PERCENT if match.group(2) else float(value)


def _refused(name: str, value: str, why: str, remedy: str) -> RequestError:
    return RequestError(f"{name}: {value[:80]!r} {why}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=name)


def in_words(change: policy_pb2.PolicyChange) -> Iterator[str]:
    """Yield what a change did: ``pin: minor 1.4 → none``."""
    for name in change.fields:
        yield f"{name}: {_value(change.before, name)} → {_value(change.after, name)}"


def _value(values: policy_pb2.PolicyValues, name: str) -> str:
    """Return a field's value; a dash where it is not said, or only a newer version knows it."""
    owner: Any = values.limits if name in (*_COUNTS, *_DURATIONS, "failure_limit", "offline_policy") else values
    if name not in FIELDS:
        return "-"
    value = getattr(owner, name)
    if name == "offline_policy":
        return next((word for word, known in OFFLINE.items() if known == value and word), "-")
    if not owner.HasField(name):
        return "-"
    if name in _TEXTS:
        return value or _NOTHING[name]
    if name in _FLAGS:
        return "yes" if value else "no"
    if name in _LISTS:
        return "; ".join(value.texts) or "none"
    return _seconds(value) if isinstance(value, Duration) else f"{value:g}"


def _seconds(value: Duration) -> str:
    return f"{value.seconds + value.nanos / 1e9:g}s"
