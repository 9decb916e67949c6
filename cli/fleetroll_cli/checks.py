"""Checks of a rollout's gate: from what is typed, and as a line of text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_cli.output import plain
from fleetroll_cli.parse import duration
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPARISON = re.compile(r"(<=|>=|==|<|>)\s*(\S+)")
_READINGS = {pb.READING_GOOD: "good", pb.READING_BAD: "bad", pb.READING_MISSING: "missing"}


def checks_of(
    http: Sequence[str], prometheus: Sequence[str], commands: Sequence[str], *, interval: str, in_a_row: int | None
) -> list[pb.GateCheck]:
    """Build the checks of a rollout.

    Args:
        http: each ``NAME=URL``.
        prometheus: each ``NAME=URL;QUERY;< 0.05``.
        commands: each a name of the server's settings, which is the check's name too.
        interval: between two readings, as typed; empty for the default.
        in_a_row: readings that it takes to act; None for the default.

    Raises:
        RequestError: one can't be read (caller's fault).
    """
    found = [*map(_http, http), *map(_prometheus, prometheus), *(pb.GateCheck(name=c, command=c) for c in commands)]
    for check in found:
        if interval:
            check.interval.FromTimedelta(duration(interval, "check_interval"))
        if in_a_row is not None:
            check.in_a_row = in_a_row
    return found


def check_line(state: pb.GateCheckState) -> str:
    """Return one line: what a check said last."""
    said = _READINGS.get(state.reading, "not read yet")
    times = f" ({state.streak} in a row, acts at {state.check.in_a_row})" if state.reading else ""
    detail = f": {plain(state.detail, 500)}" if state.detail else ""
    return f"check {plain(state.check.name)}  {said}{times}{detail}"


def _http(text: str) -> pb.GateCheck:
    name, url = _split(text, "check_http", "NAME=URL, such as api=https://shop.example/health")
    return pb.GateCheck(name=name, http=pb.HttpCheck(url=url))


def _prometheus(text: str) -> pb.GateCheck:
    remedy = "NAME=URL;QUERY;COMPARISON, such as errors=http://prometheus:9090;rate(errors_total[5m]);< 0.05"
    name, rest = _split(text, "check_prometheus", remedy)
    url, _, rest = rest.partition(";")
    query, separator, comparison = rest.rpartition(";")
    match = _COMPARISON.fullmatch(comparison.strip())
    if not separator or match is None:
        raise _refusal("check_prometheus", text, remedy)
    try:
        threshold = float(match.group(2))
    except ValueError:
        raise _refusal("check_prometheus", text, remedy) from None
    asked = pb.PrometheusCheck(url=url.strip(), query=query.strip(), operator=match.group(1), threshold=threshold)
    return pb.GateCheck(name=name, prometheus=asked)


def _split(text: str, field: str, remedy: str) -> tuple[str, str]:
    name, separator, rest = text.partition("=")
    if not (separator and name and rest):
        raise _refusal(field, text, remedy)
    return name.strip(), rest.strip()


def _refusal(field: str, text: str, remedy: str) -> RequestError:
    message = f"{field}: {text[:80]!r} can't be read"
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=f"write {remedy}", field=field)
