"""A host is judged when it has become quiet: what runs, what is on its disk, and what the server knows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.values import Step
from fleetroll_agent.slots import SlotStore
from fleetroll_common.values.codes import Code
from tests.crash.products.faults import CLOCKS, LATER, ON_DISK
from tests.crash.products.host import GENERATION
from tests.crash.products.promises import final, may_become, require
from tests.crash.products.releases import NEW, NEXT, OLD, PRODUCT, digest_of
from tests.crash.products.world import Database

if TYPE_CHECKING:
    from fleetroll_agent.jobs.values import Report
    from tests.crash.products.host import Host

MOST_RUNS = 3
_OF_THE_RELEASE = frozenset(
    {Code.STEP_FAILED, Code.START_FAILED, Code.HEALTH_FAILED, Code.HEALTH_TIMEOUT, Code.VERSION_MISMATCH}
)
ONCE = frozenset({Step.BACKUP, Step.PULL, Step.MIGRATE, Step.SMOKE})


def judge(host: Host, fault: str = "") -> str:
    """Judge everything; return the result of the attempt."""
    result = _result(host, 0 if host.scenario.by_hand else GENERATION)
    allowed = may_become(host.scenario.kind, host.scenario.result, fault, host.struck)
    require(result.said.value in allowed, f"{result.said.value}, and not {' or '.join(sorted(allowed))}")
    later = fault in CLOCKS and host.struck is not None and not host.scenario.by_hand
    if later:
        require(_result(host, LATER).said.value == "SUCCEEDED", "what was wanted under the wrong clock did not come")
    _judge_reports(host)
    _judge_commands(host)
    _judge_disk(host, refused=fault in ON_DISK)
    _judge_what_runs(host, NEXT if later else _version(host, result), result)
    return result.said.value


def _result(host: Host, generation: int) -> Report:
    """Return the one result that the server has of an attempt."""
    told = [report for report in final(host.server.told) if report.generation == generation]
    require(told, f"the server has no result of {generation}")
    first: Report = told[0]
    require(all((one.said, one.code) == (first.said, first.code) for one in told), f"it has several of {generation}")
    require(len(told) <= host.server.epoch, f"it was told the result of {generation} without having asked")
    return first


def _version(host: Host, result: Report) -> str:
    """Return the version that has to run after ``result``."""
    if host.scenario.by_hand:
        return OLD
    before = "" if host.scenario.fresh else OLD
    return NEW if result.said.value == "SUCCEEDED" else before


def _judge_reports(host: Host) -> None:
    """Everything that happened is with the server, in its order, and nothing twice."""
    journal = host.life.journal
    require(host.server.held == journal.last_sequence, "the server does not hold everything")
    numbers = [entry.report.number for entry in host.server.told]
    require(numbers == list(range(1, len(numbers) + 1)), f"the numbers of its reports have a gap: {numbers}")


def _judge_commands(host: Host) -> None:
    """No step ran more often than it may."""
    for (_attempt, step), count in host.world.runs.items():
        most = 1 if Step(step) in ONCE or (step == "switch" and host.scenario.kind == "command") else MOST_RUNS
        require(count <= most, f"{step} ran {count} times")


def _judge_disk(host: Host, *, refused: bool) -> None:
    """Nothing of the work is left lying about, and what is kept is whole."""
    record, scenario = host.record(), host.scenario
    require(record.attempt is None and record.waiting is None, "an attempt has not ended")
    require(host.life.lock.take("other"), "the job lock is still held")
    host.life.lock.release("other")
    for folder, names in ((scenario.link(host.state).parent, {PRODUCT}), (scenario.file(host.state).parent, _FILES)):
        left = {path.name for path in folder.iterdir()} - names if folder.exists() else set()
        if refused:  # the next update or start gives it its name
            left = {name for name in left if not name.startswith(_NAMED_LATER)}
        require(not left, f"{', '.join(left)} was left behind")
    if scenario.kind == "command":
        return
    store = SlotStore(host.state, product=PRODUCT)
    for kept in (record.current, record.previous):
        if kept is not None:
            slot = next((slot for slot in store.list() if slot.sha256 == kept.sha256), None)
            require(slot is not None and store.check(slot.path).is_clean, f"the slot of {kept.version} is not whole")


_NAMED_LATER = (f".{PRODUCT}.fleetroll-undo-", f".{PRODUCT}.fleetroll-absent-")
_FILES = {PRODUCT, f"{PRODUCT}.old"}


def _judge_what_runs(host: Host, version: str, result: Report) -> None:
    """The service, its data, and the record say the same."""
    world, record = host.world, host.record()
    healthy, service = world.healthy()
    require(service == version, f"{service or 'nothing'} runs, not {version or 'nothing'}")
    require(healthy or not version, f"{version} does not work: schema {world.database.schema}")
    taken = world.in_use()
    require(taken == version, f"{version or 'nothing'} runs, and a start would take {taken or 'nothing'}")
    current = "" if record.current is None else record.current.version
    require(current == version, f"{version or 'nothing'} runs, and the record says {current or 'nothing'}")
    if version == OLD or not version:
        require(world.database == Database(), "the data of the version before did not come back")
    shown = bool(host.scenario.bad) and result.code in _OF_THE_RELEASE and not result.unproven
    require((digest_of(NEW) in record.bad) == shown, f"bad is {not shown} after {result.said.value} {result.code}")
    stray = Counter(process.state for process in world.processes.values())
    require(set(stray) <= {"over"}, f"commands are left: {stray}")
