"""What must hold of every host, whatever was killed: judged from its disk, its trace, and what the server heard."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.values import Ended, Origin
from fleetroll_agent.slots import SlotStore
from tests.crash.update.kills import GOES_ON, SUCCEEDED, in_its_last_moment, legal
from tests.crash.update.world import FINAL, FIRST, NEW_AGENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2
    from tests.crash.update.kills import Kill
    from tests.crash.update.world import UpdatingHost

STARTS_OF_A_TRIAL = 2


def check_come_up(host: UpdatingHost, hello: stream_pb2.HelloPayload) -> None:
    """Judge the agent that says hello after a kill: the version that the launcher's record names, whole, and alone."""
    record, trial = host.record(), host.record().trial
    slot = record.current if trial is None else trial.slot
    (product,) = hello.products
    assert (product.version, product.sha256.hex()) == (slot.version, slot.digest)
    assert product.on_trial == (trial is not None)
    _check_slot(host, slot.name)
    assert len(host.living()) == 1
    _check_one_at_a_time(host)
    _check_same_journal(host)


def check_attempts(host: UpdatingHost) -> None:
    """Judge every attempt that has ended by the kills that struck it: without one it has to succeed."""
    struck: dict[int, list[Kill]] = {}
    for kill in host.kills():
        struck.setdefault(kill.generation, []).append(kill)
    for generation in range(FIRST, host.assigned + 1):
        if host.ended(generation):
            kills = struck.get(generation, [])
            check_result(result_of(host, generation), kills, [may_become(host, kill) for kill in kills])
    starts = host.plan.processes().get(NEW_AGENT, 0)
    assert starts <= STARTS_OF_A_TRIAL * (host.assigned - FIRST + 1) + _starts_after_commit(host), f"{starts} starts"


def check_result(result: str, kills: Iterable[Kill], allowed: Iterable[frozenset[str]]) -> None:
    """Judge a result: no kill may forbid it, and one that is no success needs a kill that brings it about."""
    choices = list(zip(kills, allowed, strict=True))
    for kill, words in choices:
        assert result in words or GOES_ON in words, f"{result} after {kill}; legal: {sorted(words)}"
    assert result == SUCCEEDED or any(result in words for _kill, words in choices), f"{result} for no reason"


def may_become(host: UpdatingHost, kill: Kill) -> frozenset[str]:
    """Return what may become of the attempt; of a message that was just being written both ends are possible."""
    said = host.said(kill)
    words = in_its_last_moment(kill, legal(kill, said), host.after(kill))
    last = host.last_word(kill)
    return words | legal(kill, said - {last}) if last else words


def result_of(host: UpdatingHost, generation: int) -> str:
    """Return an attempt's result as the server knows it, ``unproven`` behind it where that was said."""
    told = [report for report in host.server.agent.reports if report.generation == generation]
    return host.ended(generation) + (" unproven" if told[-1].unproven else "")


def check_end(host: UpdatingHost, version: str) -> None:
    """Judge the host at the end of everything: it runs ``version``, whole, and the server knows what happened."""
    _check_running(host, version)
    _check_one_at_a_time(host)
    _check_same_journal(host)
    for generation in range(FIRST, host.assigned + 1):
        _check_one_result(host, generation)
        _check_launchers_word(host, generation)
    assert host.server.agent.forks == 0, "a crash looked like a copied identity"


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


def _check_one_at_a_time(host: UpdatingHost) -> None:
    """Every process of an agent has its points in one piece: none did anything after the next one had begun."""
    pids = [pid for pid, _group in groupby(pid for pid, _role in host.agents())]
    assert len(pids) == len(set(pids)), f"two agents at once: {pids}"


def _check_same_journal(host: UpdatingHost) -> None:
    """What was acknowledged stands in the host's journal, and nothing in it is missing."""
    agent, journal = host.server.agent, host.journal()
    assert [report.sequence for report in agent.reports] == list(range(1, len(agent.reports) + 1))
    told = [(report.sequence, report.generation, report.step) for report in agent.reports]
    kept = [(entry.sequence, entry.report.generation, entry.report.step) for entry in journal]
    assert told == kept[: len(told)], "the server holds another journal than the host"


def _check_one_result(host: UpdatingHost, generation: int) -> None:
    """One result; a server that assigns the same generation again is told the same one again."""
    said = [entry.report.said.value for entry in host.journal() if entry.report.generation == generation]
    for words in (host.server.states(generation), said):
        results = {word for word in words if word in FINAL}
        assert len(results) == 1, f"results of {generation}: {words}"
        first = next(place for place, word in enumerate(words) if word in FINAL)
        assert set(words[first:]) == results, f"something happened after the result of {generation}: {words}"
    times = sum(word in FINAL for word in said)
    assert times <= 1 + len(host.server.sessions), f"told without being asked: {said}"


def _starts_after_commit(host: UpdatingHost) -> int:
    """Return how often a kill may have struck the new version when it was, or just became, the committed one."""
    return sum(SUCCEEDED in may_become(host, kill) for kill in host.kills())
