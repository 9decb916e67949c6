"""Checks of a gate between the wire and the domain."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_server.domain import checkspec
from fleetroll_server.rpc.convert import set_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.duration_pb2 import Duration

    from fleetroll_server.domain.checks import CheckState


def checks_from_wire(
    wire: Sequence[pb.GateCheck], commands: Mapping[str, Sequence[str]]
) -> tuple[checkspec.CheckSpec, ...]:
    """Read the checks of a rollout; ``commands`` are those of the server's settings.

    Raises:
        RequestError: one can't be asked, or they can't stand together (caller's fault).
    """
    checks = tuple(_check(check) for check in wire[: checkspec.MAX_CHECKS + 1])
    checkspec.check_all(checks, commands)
    return checks


def _check(wire: pb.GateCheck) -> checkspec.CheckSpec:
    """Read one check.

    Raises:
        RequestError: a field can't be used (caller's fault).
    """
    return checkspec.CheckSpec(
        name=wire.name,
        question=_question(wire),
        interval_seconds=_seconds(wire, "interval", checkspec.DEFAULT_INTERVAL_SECONDS),
        timeout_seconds=_seconds(wire, "timeout", checkspec.DEFAULT_TIMEOUT_SECONDS),
        in_a_row=wire.in_a_row if wire.HasField("in_a_row") else checkspec.DEFAULT_IN_A_ROW,
    )


def _question(wire: pb.GateCheck) -> checkspec.Question:
    asked = wire.WhichOneof("question")
    match asked:
        case "http":
            return checkspec.HttpCheck(wire.http.url, tuple(wire.http.statuses), wire.http.contains)
        case "prometheus":
            query = wire.prometheus
            return checkspec.PrometheusCheck(query.url, query.query, query.operator, query.threshold)
        case "command" | None:
            return checkspec.CommandCheck(wire.command)
        case other:
            assert_never(other)


def _seconds(wire: pb.GateCheck, name: str, default: float) -> float:
    if not wire.HasField(name):  # type: ignore[arg-type]  # one of two fields
        return default
    said: Duration = getattr(wire, name)
    return said.seconds + said.nanos / 1e9


def check_to_wire(state: CheckState) -> pb.GateCheckState:
    """Return one check with what it said last."""
    spec, last = state.spec, state.last
    wire = pb.GateCheckState(check=pb.GateCheck(name=spec.name, in_a_row=spec.in_a_row), streak=state.streak)
    wire.check.interval.FromTimedelta(timedelta(seconds=spec.interval_seconds))
    wire.check.timeout.FromTimedelta(timedelta(seconds=spec.timeout_seconds))
    match spec.question:
        case checkspec.HttpCheck(url, statuses, contains):
            wire.check.http.CopyFrom(pb.HttpCheck(url=url, statuses=statuses, contains=contains))
        case checkspec.PrometheusCheck(url, query, operator, threshold):
            asked = pb.PrometheusCheck(url=url, query=query, operator=operator, threshold=threshold)
            wire.check.prometheus.CopyFrom(asked)
        case checkspec.CommandCheck(command):
            wire.check.command = command
        case other:
            assert_never(other)
    if last is not None:
        wire.reading = pb.Reading.Value(f"READING_{last.kind.upper()}")
        wire.detail = last.detail
        set_instant(wire.read_at, last.at)
    return wire
