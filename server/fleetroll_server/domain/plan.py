"""From a selection and wave specifications to waves of hosts, and to the hosts that are left out with the reason.

Rules:

1. Selected is who is named (all when nobody is), carries every label, and isn't excluded by name.
2. Left out, each with one reason: revoked hosts, hosts that keep no such product, hosts at the target, hosts that the
   release has no artefact for.
3. A host that another rollout holds refuses the whole plan: a second rollout of the product is refused, never mixed.
4. Named hosts of a wave come first, in the order in which they were named, and are kept for their wave. The other
   places are filled by name, then id.
5. What the specifications don't cover becomes a last wave. Waves are numbered from 1 after empty ones were dropped.

The result depends on nothing but the arguments, and not on the order of ``hosts``. Preview and start call this alike.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.eligible import objection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts

MAX_WAVES = 50
"""More could not be told apart by a person who approves them."""
_HUNDRED_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Which hosts a rollout means.

    Attributes:
        hosts: ids or names; empty for all.
        labels: what a host must carry, each with this value.
        exclude: ids or names to leave out.
    """

    hosts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaveSpec:
    """One wave as it is asked for.

    Attributes:
        size: how ``value`` is meant; None for the named hosts alone.
        value: hosts >= 1 for ``count``; over 0 to 100, of all hosts that take part, rounded up, for ``percent``;
            unused else.
        hosts: ids or names that go into this wave first.
    """

    size: Literal["count", "percent", "rest"] | None
    value: float | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedWave:
    """One wave, numbered from 1, with its hosts in the order in which they are updated."""

    number: int
    hosts: tuple[HostFacts, ...]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A selected host that is left out."""

    host: HostFacts
    code: Code
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every selected host is in exactly one of the two, once."""

    waves: tuple[PlannedWave, ...]
    exclusions: tuple[Exclusion, ...]


def plan(
    selection: Selection, wave_specs: Sequence[WaveSpec], hosts: Sequence[HostFacts], release: ReleaseFacts
) -> Plan:
    """Plan a rollout.

    Args:
        selection: which hosts are meant.
        wave_specs: the waves in order; none means one wave of all.
        hosts: the fleet, revoked hosts too.
        release: what is rolled out.

    Raises:
        RequestError: a name is unknown or ambiguous, a wave can't be built, a host is held by another rollout, or no
            host is left (caller's fault).
    """
    _check_specs(wave_specs)
    directory = _Directory(hosts)
    selected = _select(selection, directory)
    exclusions = tuple(found for host in selected if (found := _exclusion(host, release)) is not None)
    left_out = {found.host.agent_id: found for found in exclusions}
    _refuse_claimed([host for host in selected if _matters(left_out.get(host.agent_id))])
    members = [host for host in selected if host.agent_id not in left_out]
    if not members:
        raise _nobody_left(selection, selected, exclusions)
    named = _named_hosts(wave_specs, directory, {host.agent_id for host in selected}, left_out)
    return Plan(_fill(wave_specs, members, named), exclusions)


class _Directory:
    """Finds hosts by id or name."""

    def __init__(self, hosts: Iterable[HostFacts]) -> None:
        by_id = {host.agent_id: host for host in hosts}
        self.ordered = sorted(by_id.values(), key=lambda host: (host.name, host.agent_id))
        self._by_id = by_id
        self._by_name: dict[str, list[HostFacts]] = {}
        for host in self.ordered:
            self._by_name.setdefault(host.name, []).append(host)

    def all_called(self, where: str, text: str) -> list[HostFacts]:
        """Return the host with this id, or all with this name: a revoked host may share it with its successor."""
        if text in self._by_id:
            return [self._by_id[text]]
        if text not in self._by_name:
            raise RequestError(
                f"{where}: no host has the id or name {text[:80]!r}",
                code=Code.HOST_NOT_FOUND,
                remedy="list the fleet's hosts and correct the name",
                field=where,
                host=text[:80],
            )
        return self._by_name[text]

    def one_called(self, where: str, text: str) -> HostFacts:
        """Return the one host that is meant; a revoked one only when no other has the name."""
        found = self.all_called(where, text)
        living = [host for host in found if not host.revoked] or found[:1]
        if len(living) > 1:
            ids = ", ".join(host.agent_id for host in living[:5])
            raise _invalid(where, f"{len(living)} hosts are called {text[:80]!r}", f"say one of the ids: {ids}")
        return living[0]


def _select(selection: Selection, directory: _Directory) -> list[HostFacts]:
    """Apply rule 1. A name to exclude excludes every host that has it: leaving out too many is the safe side."""
    wanted = {directory.one_called("selection.hosts", text).agent_id for text in selection.hosts}
    unwanted = {host.agent_id for text in selection.exclude for host in directory.all_called("selection.exclude", text)}
    return [
        host
        for host in directory.ordered
        if (not selection.hosts or host.agent_id in wanted)
        and host.agent_id not in unwanted
        and all(host.labels.get(label) == value for label, value in selection.labels.items())
    ]


def _exclusion(host: HostFacts, release: ReleaseFacts) -> Exclusion | None:
    """Return why a host is left out; None when it takes part."""
    found = objection(host, release)
    return Exclusion(host, found.code, found.message) if found is not None else None


def _matters(found: Exclusion | None) -> bool:
    """Tell whether a claim on the host stands in the way: a host at the target may yet be moved by who holds it."""
    return found is None or found.code is Code.ALREADY_AT_TARGET


def _refuse_claimed(hosts: Iterable[HostFacts]) -> None:
    held = [host for host in hosts if host.claimed_by]
    if held:
        first, others = held[0], len(held) - 1
        raise RequestError(
            f"rollout {first.claimed_by} is active on {first.name}" + (f" and {others} more" if others else ""),
            code=Code.ROLLOUT_ACTIVE,
            remedy="wait for it, cancel it, pause it and supersede it, or exclude these hosts",
            host=first.name,
            agent=first.agent_id,
            rollout=first.claimed_by,
        )


def _nobody_left(selection: Selection, selected: Sequence[HostFacts], exclusions: Sequence[Exclusion]) -> RequestError:
    if not selected:
        which = "the selection" if selection.hosts or selection.labels or selection.exclude else "the fleet"
        message = f"no host is left: {which} has none"
    else:
        counts = Counter(found.code for found in exclusions)
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))
        message = f"no host is left: {len(exclusions)} of {len(selected)} selected are excluded: {reasons}"
    return RequestError(message, code=Code.NO_HOSTS, remedy="select other hosts or another release")


def _check_specs(specs: Sequence[WaveSpec]) -> None:
    """Refuse specifications that are wrong for every fleet."""
    if len(specs) > MAX_WAVES:
        raise _invalid("waves", f"{len(specs)} waves", f"say at most {MAX_WAVES}")
    for number, spec in enumerate(specs, 1):
        where, value = f"waves[{number}]", spec.value
        usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        amount = value if usable and value is not None else 0
        if spec.size is None and not spec.hosts:
            raise _invalid(where, "neither a size nor hosts", "say a count, a percentage, rest, or hosts")
        if spec.size == "count" and (amount < 1 or amount != int(amount)):
            raise _invalid(where, f"count {value!r}", "say a whole number of hosts, at least 1")
        if spec.size == "count" and amount < len(spec.hosts):
            raise _invalid(where, f"count {value!r} with {len(spec.hosts)} named hosts", "say a larger count or none")
        if spec.size == "percent" and not 0 < amount <= _HUNDRED_PERCENT:
            raise _invalid(where, f"percent {value!r}", "say over 0 to 100")
        if spec.size == "rest" and number < len(specs):
            raise _invalid(where, "rest, and waves after it", "rest takes every host: make it the last wave")


def _named_hosts(
    specs: Sequence[WaveSpec], directory: _Directory, selected: set[str], left_out: Mapping[str, Exclusion]
) -> list[list[HostFacts]]:
    """Return the named hosts of each wave that take part."""
    taken: dict[str, str] = {}
    waves = []
    for number, spec in enumerate(specs, 1):
        where = f"waves[{number}].hosts"
        found = [directory.one_called(where, text) for text in spec.hosts]
        for host in found:
            if host.agent_id not in selected:
                raise _invalid(where, f"{host.name} is not selected", "select it, or name another host")
            if host.agent_id in taken:
                raise _invalid(where, f"{host.name} stands in {taken[host.agent_id]} too", "name it once")
            taken[host.agent_id] = where
        present = [host for host in found if host.agent_id not in left_out]
        if spec.size is None and not present:
            _refuse_lost_group(where, [left_out[host.agent_id] for host in found])
        waves.append(present)
    return waves


def _refuse_lost_group(where: str, missing: Sequence[Exclusion]) -> None:
    """Refuse a group (a canary) that would vanish unproven. Hosts that run the target already have proven it."""
    for found in missing:
        if found.code is not Code.ALREADY_AT_TARGET:
            raise _invalid(where, f"every named host is left out: {found.message}", "name other hosts")


def _fill(
    specs: Sequence[WaveSpec], members: Sequence[HostFacts], named: Sequence[Sequence[HostFacts]]
) -> tuple[PlannedWave, ...]:
    """Apply rules 4 and 5."""
    kept = {host.agent_id for group in named for host in group}
    free = [host for host in members if host.agent_id not in kept]
    groups: list[tuple[HostFacts, ...]] = []
    for spec, group in zip(specs, named, strict=True):
        places = max(_size(spec, len(members)) - len(group), 0)
        groups.append((*group, *free[:places]))
        free = free[places:]
    groups.append(tuple(free))
    filled = [group for group in groups if group]
    if len(filled) > MAX_WAVES:
        raise _invalid("waves", f"{len(filled)} waves with the one for the rest", f"say at most {MAX_WAVES} in all")
    return tuple(PlannedWave(number, group) for number, group in enumerate(filled, 1))


def _size(spec: WaveSpec, hosts: int) -> int:
    """Return the places of a wave. Exact: 16.1 % of 1000 is 161, which binary fractions round up to 162."""
    if spec.size == "rest":
        return hosts
    if spec.size is None or spec.value is None:
        return 0
    if spec.size == "count":
        return int(spec.value)
    return math.ceil(Fraction(str(spec.value)) * hosts / _HUNDRED_PERCENT)


def _invalid(where: str, what: str, remedy: str) -> RequestError:
    return RequestError(f"{where}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=where)
