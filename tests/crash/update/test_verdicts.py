"""The judge of disturbed updates is judged: a host that is wrong in one thing does not pass."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import types_pb2
from tests.crash.update.verdicts import check_end, check_first
from tests.crash.update.world import FIRST, NEW, NEW_AGENT, OLD, OLD_AGENT, UpdatingHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crash.update.world import Kit


def _changed_program(host: UpdatingHost) -> None:
    entry = host.state / "slots" / "agent" / host.record().current.name / "entry.py"
    entry.chmod(0o644)
    with entry.open("a") as stream:
        stream.write("# changed\n")


def _lost_report(host: UpdatingHost) -> None:
    del host.server.agent.reports[2]


def _other_report(host: UpdatingHost) -> None:
    host.server.agent.reports[2].generation = FIRST + 1


def _second_result(host: UpdatingHost) -> None:
    host.server.agent.reports[-2].state = types_pb2.ATTEMPT_STATE_ROLLED_BACK


def _two_at_once(host: UpdatingHost) -> None:
    line = next(line for line in host.plan.lines() if line["role"] == OLD_AGENT)
    with (host.plan.folder / "trace.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def _false_alarm(host: UpdatingHost) -> None:
    host.server.agent.forks = 1


WRONGS = (_changed_program, _lost_report, _other_report, _second_result, _two_at_once, _false_alarm)


@pytest.mark.crash
async def test_a_host_that_is_wrong_in_one_thing_does_not_pass(kit: Kit, room: Path) -> None:
    async with UpdatingHost(kit, room / "wrong") as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await host.until(lambda: host.record().trial is None, "the commit")
        assert check_first(host, agent_alone=True) == "SUCCEEDED"
        check_end(host, NEW)
        refused(lambda: check_end(host, OLD))
        for wrong in WRONGS:
            with restored(host):
                wrong(host)
                refused(lambda: check_end(host, NEW))
        check_end(host, NEW)
        with restored(host):
            host.server.agent.reports[-1].state = types_pb2.ATTEMPT_STATE_ROLLED_BACK
            refused(lambda: check_first(host, agent_alone=False))
        with (host.plan.folder / "starts").open("a") as stream:
            stream.write(f"{NEW_AGENT}\n" * 2)
        refused(lambda: check_first(host, agent_alone=True))


def refused(judge: Callable[[], object]) -> None:
    with pytest.raises(AssertionError):
        judge()


@contextlib.contextmanager
def restored(host: UpdatingHost) -> Iterator[None]:
    """Take everything back that a wrong changes."""
    agent = host.server.agent
    slot = host.state / "slots" / "agent" / host.record().current.name
    kept = {path: path.read_bytes() for path in (slot / "entry.py", host.plan.folder / "trace.jsonl")}
    reports, forks = copy.deepcopy(agent.reports), agent.forks
    yield
    agent.reports, agent.forks = reports, forks
    for path, data in kept.items():
        path.write_bytes(data)
    (slot / "entry.py").chmod(0o444)
