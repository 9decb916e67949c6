"""What must hold of every host, whatever was killed: judged from its disk, its trace, and what the server heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.launcher.values import Ended, Origin
from fleetroll_agent.slots import SlotStore
from tests.crash.real.host import FIRST, SUCCEEDED
from tests.crash.real.verdicts import (
    check_no_false_alarm,
    check_one_at_a_time,
    check_one_result,
    check_result,
    check_same_journal,
)
from tests.crash.update.kills import in_its_last_moment, legal

if TYPE_CHECKING:
    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.crash.real.kill import Kill
    from tests.crash.update.world import UpdatingHost

NEW_AGENT = "new-agent"
STARTS_OF_A_TRIAL = 2
UP_SECONDS = 20.0
"""To the start of the next agent, on a busy machine."""


def check_come_up(host: UpdatingHost, hello: stream_pb2.HelloPayload) -> None:
    """Judge the agent that says hello after a kill: the version that the launcher's record names, whole, and alone."""
    record, trial = host.record(), host.record().trial
    slot = record.current if trial is None else trial.slot
    (product,) = hello.products
    assert (product.version, product.sha256.hex()) == (slot.version, slot.digest)
    assert product.on_trial == (trial is not None)
    _check_slot(host, slot.name)
    assert len(host.living()) == 1
    check_one_at_a_time(host)
    check_same_journal(host)


def check_attempts(host: UpdatingHost) -> None:
    """Judge every attempt that has ended by the kills that struck it: without one it has to succeed."""
    struck: dict[int, list[Kill]] = {}
    for kill in host.kills():
        struck.setdefault(kill.generation, []).append(kill)
    for generation in range(FIRST, host.assigned + 1):
        if host.ended(generation):
            kills = struck.get(generation, [])
            check_result(host.result_of(generation), kills, [may_become(host, kill) for kill in kills])
    starts = host.plan.processes().get(NEW_AGENT, 0)
    assert starts <= STARTS_OF_A_TRIAL * (host.assigned - FIRST + 1) + _starts_after_commit(host), f"{starts} starts"


def may_become(host: UpdatingHost, kill: Kill) -> frozenset[str]:
    """Return what may become of the attempt; of a message that was just being written both ends are possible."""
    said = host.said(kill)
    words = in_its_last_moment(kill, legal(kill, said), host.after(kill))
    last = host.last_word(kill)
    return words | legal(kill, said - {last}) if last else words


async def check_serving(host: UpdatingHost) -> None:
    """One agent comes to run, whole, of the version that the launcher's record names."""
    await host.until(lambda: len(host.living()) == 1, "one agent", UP_SECONDS)
    record = host.record()
    _check_slot(host, (record.current if record.trial is None else record.trial.slot).name)
    check_one_at_a_time(host)


def check_end(host: UpdatingHost, version: str) -> None:
    """Judge the host at the end of everything: it runs ``version``, whole, and the server knows what happened."""
    _check_running(host, version)
    check_one_at_a_time(host)
    check_same_journal(host)
    for generation in range(FIRST, host.assigned + 1):
        check_one_result(host, generation)
        _check_launchers_word(host, generation)
    check_no_false_alarm(host)


def _check_running(host: UpdatingHost, version: str) -> None:
    record = host.record()
    assert record.current.version == version
    assert record.trial is None
    _check_slot(host, record.current.name)
    (product,) = host.server.session.hello.products
    assert product.version == version
    assert product.sha256.hex() == record.current.digest
    assert len(host.living()) == 1


def _check_slot(host: UpdatingHost, name: str) -> None:
    drift = SlotStore(host.state).check(host.state / "slots" / "agent" / name)
    assert drift.is_clean, drift.summary


def _check_launchers_word(host: UpdatingHost, generation: int) -> None:
    """The launcher has kept the version for the attempt that succeeded, and for no other."""
    record = host.record()
    words = [word for word in (record.last, *record.earlier) if word is not None and word.attempt is not None]
    mine = [word for word in words if word.attempt == (Origin.SERVER, generation)]
    kept = [word.ended is Ended.COMMITTED for word in mine]
    assert kept == [True] if host.ended(generation) == SUCCEEDED else not any(kept), f"generation {generation}: {mine}"


def _starts_after_commit(host: UpdatingHost) -> int:
    """Return how often a kill may have struck the new version when it was, or just became, the committed one."""
    return sum(SUCCEEDED in may_become(host, kill) for kill in host.kills())
