"""Checks of a gate as they are typed and shown."""

from __future__ import annotations

import pytest

from fleetroll.v1 import rollouts_pb2 as pb
from fleetroll_cli.checks import check_line, checks_of
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError


def test_each_kind_is_read() -> None:
    query = 'errors=http://prometheus:9090;sum(rate(errors_total{job="a;b"}[5m]));<= 0.05'
    http, prometheus, command = checks_of(
        ["api=https://shop.example/health?x=1"], [query], ["smoke"], interval="1m", in_a_row=2
    )
    assert (http.name, http.http.url) == ("api", "https://shop.example/health?x=1")
    asked = prometheus.prometheus
    assert (prometheus.name, asked.url, asked.operator, asked.threshold) == (
        "errors",
        "http://prometheus:9090",
        "<=",
        0.05,
    )
    assert asked.query == 'sum(rate(errors_total{job="a;b"}[5m]))'
    assert (command.name, command.command) == ("smoke", "smoke")
    assert {(check.interval.seconds, check.in_a_row) for check in (http, prometheus, command)} == {(60, 2)}


def test_what_is_not_given_is_the_servers() -> None:
    (check,) = checks_of(["api=https://shop.example"], [], [], interval="", in_a_row=None)
    assert not check.HasField("interval")
    assert not check.HasField("in_a_row")


@pytest.mark.parametrize(
    ("http", "prometheus"),
    [
        (["https://shop.example"], []),
        (["=https://shop.example"], []),
        (["api="], []),
        ([], ["errors=http://prometheus:9090"]),
        ([], ["errors=http://prometheus:9090;up"]),
        ([], ["errors=http://prometheus:9090;up;!= 1"]),
        ([], ["errors=http://prometheus:9090;up;< much"]),
    ],
)
def test_what_can_not_be_read_is_refused_with_how_to_write_it(http: list[str], prometheus: list[str]) -> None:
    with pytest.raises(RequestError) as refused:
        checks_of(http, prometheus, [], interval="", in_a_row=None)
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert "=" in refused.value.remedy


def test_a_line_says_what_was_read_and_when_the_gate_acts() -> None:
    check = pb.GateCheck(name="api", in_a_row=3)
    assert check_line(pb.GateCheckState(check=check)) == "check api  not read yet"
    state = pb.GateCheckState(check=check, reading=pb.READING_BAD, detail="status 500\x1b[31m", streak=2)
    assert check_line(state).startswith("check api  bad (2 in a row, acts at 3): status 500")
    assert "\x1b" not in check_line(state)
