"""The judge of disturbed updates is judged: a host that is wrong in one thing does not pass."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import types_pb2
from tests.crash.real.host import FIRST, greeting
from tests.crash.real.hunting import Bag, HuntingGround
from tests.crash.update import verdicts
from tests.crash.update.verdicts import check_attempts, check_come_up, check_end
from tests.crash.update.world import NEW, NEW_AGENT, OLD, OLD_AGENT, UpdatingHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.crash.real.host import Kit
    from tests.faults.plans import Chase


PLANTED = "planted"


def _changed_program(host: UpdatingHost) -> None:
    entry = host.state / "slots" / "agent" / host.record().current.name / "entry.py"
    changed = entry.read_bytes() + b"# changed\n"
    entry.unlink()  # all hosts share the file with the one whose slot they were given
    entry.write_bytes(changed)


def _lost_report(host: UpdatingHost) -> None:
    del host.server.agent.reports[2]


def _other_report(host: UpdatingHost) -> None:
    host.server.agent.reports[2].generation = FIRST + 1


def _second_result(host: UpdatingHost) -> None:
    host.server.agent.reports[-2].state = types_pb2.ATTEMPT_STATE_ROLLED_BACK


def _two_at_once(host: UpdatingHost) -> None:
    line = next(line for line in host.lines() if line["role"] == OLD_AGENT)
    host.lines().append({**line, PLANTED: True})


def _told_twice(host: UpdatingHost) -> None:
    reports = host.server.agent.reports
    reports.insert(-1, copy.deepcopy(reports[-1]))


def _false_alarm(host: UpdatingHost) -> None:
    host.server.agent.forks = 1


WRONGS = (_changed_program, _lost_report, _other_report, _second_result, _two_at_once, _told_twice, _false_alarm)


def _other_version(hello: stream_pb2.HelloPayload) -> None:
    hello.products[0].version = OLD


def _other_bytes(hello: stream_pb2.HelloPayload) -> None:
    hello.products[0].sha256 = bytes(32)


def _trial_of_its_own(hello: stream_pb2.HelloPayload) -> None:
    hello.products[0].on_trial = not hello.products[0].on_trial


WRONG_HELLOS = (_other_version, _other_bytes, _trial_of_its_own)


@pytest.mark.long
@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_a_host_that_is_wrong_in_one_thing_does_not_pass(kit: Kit, room: Path) -> None:
    async with UpdatingHost(kit, room / "wrong") as host:
        await host.until(lambda: host.ended(FIRST), "the result")
        await host.until(lambda: host.record().trial is None, "the commit")
        check_attempts(host)
        check_end(host, NEW)
        refused(lambda: check_end(host, OLD))
        for wrong in WRONGS:
            with restored(host):
                wrong(host)
                refused(lambda: check_end(host, NEW))
        check_end(host, NEW)
        _refuse_hellos(host)
        with restored(host):
            host.server.agent.reports[-1].state = types_pb2.ATTEMPT_STATE_ROLLED_BACK
            refused(lambda: check_attempts(host))
        with (host.plan.folder / "starts").open("a") as stream:
            stream.write(f"{NEW_AGENT}\n" * 2)
        refused(lambda: check_attempts(host))


def _refuse_hellos(host: UpdatingHost) -> None:
    """The newest hello is the trial's: after the commit it stands for what no longer is."""
    hello = copy.deepcopy(host.server.session.hello)
    refused(lambda: check_come_up(host, hello))
    hello.products[0].on_trial = False
    check_come_up(host, hello)
    for wrong in WRONG_HELLOS:
        false = copy.deepcopy(hello)
        wrong(false)
        refused(lambda said=false: check_come_up(host, said))  # type: ignore[misc]
    for wrong_host in (_changed_program, _lost_report, _two_at_once):
        with restored(host):
            wrong_host(host)
            refused(lambda: check_come_up(host, hello))


@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_a_host_that_comes_up_changed_after_a_kill_is_told_as_a_fault(
    kit: Kit, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(host: UpdatingHost, hello: stream_pb2.HelloPayload) -> None:
        _changed_program(host)
        check_come_up(host, hello)

    monkeypatch.setattr(verdicts, "check_come_up", changed)
    quarry = [OLD_AGENT, "none", "send:ConnectRequest.hello", 1, "kill-before", "self"]
    bag = await hunted(kit, room / "changed", quarry)
    assert len(bag.kills) == 1
    assert "entry.py" in bag.faults[0]


@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_a_point_that_never_comes_is_counted_as_left(kit: Kit, room: Path) -> None:
    bag = await hunted(kit, room / "left", [OLD_AGENT, "none", "spawn:nothing", 1, "kill-before", "self"])
    assert (bag.kills, bag.faults, len(bag.left)) == ([], [], 1)


def test_the_hello_of_an_agent_that_outlives_its_launcher_is_not_the_hello_of_what_comes_up() -> None:
    identify = {"pid": 7, "point": "send:ConnectRequest.identify", "do": "kill-after"}
    lines = [{"pid": 7, "point": "create:x", "do": ""}, identify]
    lines.append({"pid": 7, "point": "send:ConnectRequest.hello", "do": ""})
    assert greeting(lines) == set()
    lines += [{"pid": 8, "point": "create:x", "do": ""}, {"pid": 8, "point": "send:ConnectRequest.hello", "do": ""}]
    assert greeting(lines) == {8}


async def hunted(kit: Kit, room: Path, quarry: list[object]) -> Bag:
    def make(folder: Path, chase: Chase) -> UpdatingHost:
        return UpdatingHost(kit, folder, hunt=chase)

    return await HuntingGround(make, room, [quarry], 1).run()


def refused(judge: Callable[[], object]) -> None:
    with pytest.raises(AssertionError):
        judge()


@contextlib.contextmanager
def restored(host: UpdatingHost) -> Iterator[None]:
    """Take everything back that a wrong changes."""
    agent = host.server.agent
    slot = host.state / "slots" / "agent" / host.record().current.name
    program = (slot / "entry.py").read_bytes()
    reports, forks = copy.deepcopy(agent.reports), agent.forks
    yield
    agent.reports, agent.forks = reports, forks
    host.lines()[:] = [line for line in host.lines() if PLANTED not in line]
    (slot / "entry.py").write_bytes(program)
    (slot / "entry.py").chmod(0o444)
