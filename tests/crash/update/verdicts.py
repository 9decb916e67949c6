"""What must hold of every host, whatever was killed: judged from its disk, its trace, and what the server heard."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from fleetroll_agent.launcher.values import Ended, Origin
from fleetroll_agent.slots import SlotStore
from tests.crash.update.world import FINAL, FIRST, NEW, NEW_AGENT, OLD, OLD_AGENT

if TYPE_CHECKING:
    from tests.crash.update.world import UpdatingHost

STARTS_OF_A_TRIAL = 2


def check_first(host: UpdatingHost, *, agent_alone: bool) -> str:
    """Judge the disturbed attempt and return its result.

    Args:
        host: whose first attempt has ended.
        agent_alone: only the agent was killed: the launcher saw it end.
    """
    result, points = host.ended(FIRST), {(point.role, point.point) for point in host.plan.points()}
    asked = (OLD_AGENT, "received:ConnectResponse.go") in points
    greeted = (NEW_AGENT, "write:pipe:hello") in points
    legal = {"SUCCEEDED"}
    if asked and not host.plan.processes().get(NEW_AGENT):
        legal.add("FAILED")
    if greeted and agent_alone:
        legal.add("ROLLED_BACK")
    assert result in legal, f"{result} is not one of {sorted(legal)}"
    assert host.plan.processes().get(NEW_AGENT, 0) <= STARTS_OF_A_TRIAL
    last = host.server.agent.reports[-1]
    assert result != "FAILED" or last.unproven, "a kill between permit and switch proves nothing against the version"
    return result


def check_end(host: UpdatingHost, version: str) -> None:
    """Judge the host at the end of everything: it runs ``version``, whole, and the server knows what happened."""
    _check_running(host, version)
    _check_one_at_a_time(host)
    _check_reports(host)
    assert host.server.agent.forks == 0, "a crash looked like a copied identity"


def _check_running(host: UpdatingHost, version: str) -> None:
    record, store = host.record(), SlotStore(host.state)
    assert record.current.version == version
    assert record.trial is None
    drift = store.check(host.state / "slots" / "agent" / record.current.name)
    assert drift.is_clean, drift.summary
    (product,) = host.server.session.hello.products
    assert product.version == version
    assert product.sha256.hex() == record.current.digest
    assert len(host.living()) == 1
    kept = [
        word
        for word in (record.last, *record.earlier)
        if word is not None
        and word.attempt is not None
        and (word.attempt.origin, word.attempt.generation) == (Origin.SERVER, FIRST)
    ]
    assert [word.ended is Ended.COMMITTED for word in kept] == [True] * (host.ended(FIRST) == "SUCCEEDED") or (
        host.ended(FIRST) != "SUCCEEDED" and not any(word.ended is Ended.COMMITTED for word in kept)
    )


def _check_one_at_a_time(host: UpdatingHost) -> None:
    """Every process of an agent has its points in one piece: none did anything after the next one had begun."""
    pids = [pid for pid, _group in groupby(pid for pid, _role in host.agents())]
    assert len(pids) == len(set(pids)), f"two agents at once: {pids}"


def _check_reports(host: UpdatingHost) -> None:
    """One result; what was acknowledged stands in the host's journal, and nothing in it is missing.

    A server that assigns the same generation again is told the same result again.
    """
    agent, journal = host.server.agent, host.journal()
    assert [report.sequence for report in agent.reports] == list(range(1, len(agent.reports) + 1))
    told = [(report.sequence, report.generation, report.step) for report in agent.reports]
    kept = [(entry.sequence, entry.report.generation, entry.report.step) for entry in journal]
    assert told == kept[: len(told)], "the server holds another journal than the host"
    said = [entry.report.said.value for entry in journal if entry.report.generation == FIRST]
    for words in (host.server.states(FIRST), said):
        results = {word for word in words if word in FINAL}
        assert len(results) == 1, f"results: {words}"
        first = next(place for place, word in enumerate(words) if word in FINAL)
        assert set(words[first:]) == results, f"something happened after the result: {words}"
    times = sum(word in FINAL for word in said)
    assert times <= 1 + len(host.server.sessions), f"told without being asked: {said}"


def ends_at(first: str, second: str) -> str:
    """Return which version runs after both attempts."""
    return NEW if "SUCCEEDED" in (first, second) else OLD
