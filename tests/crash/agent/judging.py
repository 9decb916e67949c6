"""A host is judged when it has become quiet: what runs, what both records say, and what the server knows."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Stage, Step
from fleetroll_agent.launcher.values import Attempt, Ended, Origin
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.codes import Code
from tests.crash.agent.host import AGAIN, GENERATION
from tests.crash.agent.scenarios import Bad
from tests.crash.products.faults import CLOCKS, LATER, LAUNCHER, ON_DISK, VICTIMS
from tests.crash.products.promises import final, require
from tests.crash.products.releases import NEW, NEXT, OLD, digest_of

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Report
    from fleetroll_agent.launcher.values import Record
    from tests.crash.agent.host import Host

_LOST = frozenset({"server gone", "server silent"})
"""For longer than a trial lasts."""
_SUCCEEDED, _FAILED, _ROLLED_BACK, _CANCELLED = "SUCCEEDED", "FAILED", "ROLLED_BACK", "CANCELLED"


def judge(host: Host, fault: str = "") -> str:
    """Judge everything; return the result of the attempt."""
    result = _result(host, GENERATION)
    allowed = may_become(host, fault)
    require(result.said.value in allowed, f"{result.said.value} {result.code}, and not {' or '.join(sorted(allowed))}")
    version = NEW if result.said.value == _SUCCEEDED else OLD
    if fault in CLOCKS and host.struck is not None:
        require(_result(host, LATER).said.value == _SUCCEEDED, "what was wanted under the wrong clock did not come")
        version = NEXT
    _judge_all(host, version)
    _judge_blame(host, result)
    if version == OLD and host.scenario.bad is Bad.NOTHING:
        host.again()
        require(_result(host, AGAIN).said.value == _SUCCEEDED, "the same version did not come when asked for again")
        _judge_all(host, NEW)
    return result.said.value


def may_become(host: Host, fault: str) -> frozenset[str]:
    """Return the results that the attempt may have.

    Before Go nothing is lost. A launcher that dies costs a start of the trial, of which there are two. An agent that
    dies between its permit and the switch costs the attempt, and so it does after its hello, until its version is kept.
    Its last words may still be heard, or be lost with it: then both are possible.
    """
    undisturbed = frozenset({host.scenario.result})
    struck, boot = host.struck, host.booting
    if struck is None or boot is None:
        return undisturbed
    attempt = struck.attempt
    if fault in CLOCKS and not struck.outcomes and not (attempt and attempt.past_go):
        return undisturbed | {_CANCELLED}  # what is wanted later takes its place
    kept = host.kept if fault in ON_DISK else boot.current.digest  # what no sync held may go with its name
    if attempt is None or fault in CLOCKS or kept != digest_of(OLD):
        return undisturbed
    if not attempt.past_go:
        return undisturbed | _costs_before_go(fault, attempt.stage)
    if fault in ON_DISK:
        return undisturbed | {_FAILED, _ROLLED_BACK}
    victims = VICTIMS.get(fault, frozenset())
    if victims:
        return _after_kill(undisturbed, victims, attempt.stage, attempt.step, boot)
    return undisturbed | ({_ROLLED_BACK} if fault in _LOST else set())


def _costs_before_go(fault: str, stage: Stage) -> set[str]:
    """Return what may come of it: a permit on its way is used before the agent sees what is gone."""
    if fault in ON_DISK:
        return set() if fault == "ENOSPC" else {_FAILED}
    if stage is not Stage.STAGED:
        return set()
    if fault in _LOST:
        return {_ROLLED_BACK}
    return {_FAILED} if VICTIMS.get(fault) == frozenset({LAUNCHER}) else set()


def _after_kill(
    undisturbed: frozenset[str], victims: frozenset[str], stage: Stage, step: Step | None, boot: Record
) -> frozenset[str]:
    if boot.trial is None and stage is Stage.APPLYING:
        if step is Step.SELF_TEST:
            return frozenset({_FAILED})
        return undisturbed | {_FAILED, _ROLLED_BACK}
    return undisturbed if LAUNCHER in victims else undisturbed | {_ROLLED_BACK}


def _result(host: Host, generation: int) -> Report:
    """Return the one result that the server has of an attempt: nothing follows it but itself, where it is asked for."""
    told: list[Report] = [entry.report for entry in host.server.told if entry.report.generation == generation]
    ends = {report.number for report in final(host.server.told)}
    after = list(dropwhile(lambda report: report.number not in ends, told))
    require(after, f"the server has no result of {generation}")
    first = after[0]
    same = all((one.said, one.code) == (first.said, first.code) for one in after)
    require(same, f"something follows on the result of {generation}")
    require(len(after) <= host.server.epoch, f"it was told the result of {generation} without having asked")
    return first


def _judge_all(host: Host, version: str) -> None:
    _judge_reports(host)
    _judge_launchers_word(host)
    _judge_what_runs(host, version)
    _judge_disk(host)


def _judge_reports(host: Host) -> None:
    """Everything that happened is with the server, in its order, and nothing twice."""
    life = host.life
    assert life is not None
    assert life.journal is not None
    require(host.server.held == life.journal.last_sequence, "the server does not hold everything")
    numbers = [entry.report.number for entry in host.server.told]
    require(numbers == list(range(1, len(numbers) + 1)), f"the numbers of its reports have a gap: {numbers}")


def _judge_launchers_word(host: Host) -> None:
    """What the server learned of an attempt is what the launcher wrote of it, and that is written once."""
    boot = host.boot_record()
    words = [word for word in (boot.last, *boot.earlier) if word is not None]
    for generation in {report.generation for report in final(host.server.told)}:
        mine = [word.ended for word in words if word.attempt == Attempt(Origin.SERVER, generation)]
        said = _result(host, generation).said.value
        expected = {_SUCCEEDED: [Ended.COMMITTED], _ROLLED_BACK: [Ended.ROLLED_BACK]}.get(said, [])
        require(mine == expected, f"{said} was told of {generation}, and the launcher wrote {mine}")


def _judge_what_runs(host: Host, version: str) -> None:
    """One agent runs, of the version that the launcher's record names, and of no trial."""
    boot, life = host.boot_record(), host.life
    assert life is not None
    require(boot.trial is None, "a trial has not ended")
    require(boot.current.version == version, f"the launcher keeps {boot.current.version}, not {version}")
    require(not life.process.dead and life.version == version, f"{life.version} runs, not {version}")


def _judge_blame(host: Host, result: Report) -> None:
    """A version that was proven bad is remembered as such, and no other."""
    proven = {_ROLLED_BACK: not result.unproven, _FAILED: result.code is Code.SELF_TEST_FAILED}
    blamed = digest_of(NEW) in (*host.boot_record().bad, *host.record().bad)
    expected = proven.get(result.said.value, False)
    require(blamed == expected, f"bad is {blamed} after {result.said.value} {result.code}")


def _judge_disk(host: Host) -> None:
    """Nothing of the work is left lying about, and what is kept is whole."""
    record, life = host.record(), host.life
    assert life is not None
    require(record.attempt is None and record.waiting is None, "an attempt has not ended")
    require(life.lock.take("other"), "the job lock is still held")
    life.lock.release("other")
    host.points.paused = True
    store, boot = SlotStore(host.state), host.boot_record()
    slots = store.list()
    for kept in (boot.current, boot.previous):
        if kept is not None:
            slot = next((slot for slot in slots if slot.sha256 == kept.digest), None)
            require(slot is not None and store.check(slot.path).is_clean, f"the slot of {kept.version} is not whole")
    host.points.paused = False
