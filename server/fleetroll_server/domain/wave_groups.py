"""The hosts of each wave: groups that are named or selected, places that the others fill, batches of what is left."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.hosts_by_name import invalid
from fleetroll_server.domain.wave_order import By

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_server.domain.eligible import HostFacts
    from fleetroll_server.domain.hosts_by_name import HostsByName
    from fleetroll_server.domain.plan import Exclusion, Selection, Shape, WaveSpec

MAX_WAVES = 50
"""More could not be told apart by a person who approves them."""
_HUNDRED_PERCENT = 100


def check_specs(specs: Sequence[WaveSpec]) -> None:
    """Refuse specifications that are wrong for every fleet."""
    if len(specs) > MAX_WAVES:
        raise invalid("waves", f"{len(specs)} waves", f"say at most {MAX_WAVES}")
    for number, spec in enumerate(specs, 1):
        where, value = f"waves[{number}]", spec.value
        usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        amount = value if usable and value is not None else 0
        if spec.size is None and not spec.hosts and spec.selector is None:
            raise invalid(where, "neither a size nor hosts", "say a count, a percentage, rest, hosts or a selector")
        if spec.size == "count" and (amount < 1 or amount != int(amount)):
            raise invalid(where, f"count {value!r}", "say a whole number of hosts, at least 1")
        if spec.size == "count" and amount < len(spec.hosts):
            raise invalid(where, f"count {value!r} with {len(spec.hosts)} named hosts", "say a larger count or none")
        if spec.size == "percent" and not 0 < amount <= _HUNDRED_PERCENT:
            raise invalid(where, f"percent {value!r}", "say over 0 to 100")
        if spec.size == "rest" and number < len(specs):
            raise invalid(where, "rest, and waves after it", "rest takes every host: make it the last wave")


def groups_of(
    specs: Sequence[WaveSpec],
    directory: HostsByName,
    members: Sequence[HostFacts],
    left_out: Mapping[str, Exclusion],
) -> list[list[HostFacts]]:
    """Return the hosts that are kept for each wave: those that it names, then those that its selector means.

    Args:
        specs: the waves as they are asked for.
        directory: of the fleet.
        members: who takes part, in the plan's order.
        left_out: who is selected and does not, by id.

    Raises:
        RequestError: a name is unknown or stands twice, or a group would prove nothing (caller's fault).
    """
    groups = _named_hosts(specs, directory, {host.agent_id for host in members} | set(left_out), left_out)
    missing = [found.host for found in left_out.values()]
    for number, spec in enumerate(specs):
        _add_matching(f"waves[{number + 1}]", spec, groups, number, members, missing)
    for number, (spec, group) in enumerate(zip(specs, groups, strict=True), 1):
        if spec.size is None and not group:
            _refuse_lost_group(f"waves[{number}]", spec, directory, left_out)
    return groups


def _named_hosts(
    specs: Sequence[WaveSpec], directory: HostsByName, selected: set[str], left_out: Mapping[str, Exclusion]
) -> list[list[HostFacts]]:
    """Return the named hosts of each wave that take part."""
    taken: dict[str, str] = {}
    waves = []
    for number, spec in enumerate(specs, 1):
        where = f"waves[{number}].hosts"
        found = [directory.one_called(where, text) for text in spec.hosts]
        for host in found:
            if host.agent_id not in selected:
                raise invalid(where, f"{host.name} is not selected", "select it, or name another host")
            if host.agent_id in taken:
                raise invalid(where, f"{host.name} stands in {taken[host.agent_id]} too", "name it once")
            taken[host.agent_id] = where
        waves.append([host for host in found if host.agent_id not in left_out])
    return waves


def _add_matching(
    where: str,
    spec: WaveSpec,
    groups: Sequence[list[HostFacts]],
    number: int,
    members: Sequence[HostFacts],
    missing: Sequence[HostFacts],
) -> None:
    """Put the hosts that a wave's selector means behind its named ones; who stands in another wave's group stays there.

    A selector that means no selected host at all is refused: its wave would prove nothing of what it was made for.
    """
    if spec.selector is None:
        return
    matching = [host for host in members if spec.selector.matches(host.labels)]
    if not matching and not any(spec.selector.matches(host.labels) for host in missing):
        raise invalid(f"{where}.label_selector", f"no selected host matches {spec.selector}", "correct the selector")
    kept = {host.agent_id for group in groups for host in group}
    free = [host for host in matching if host.agent_id not in kept]
    if matching and not free and spec.size is None and not groups[number]:
        what = f"every host that matches {spec.selector} stands in another wave"
        raise invalid(f"{where}.label_selector", what, "leave this wave out")
    places = len(free) if spec.size is None else max(_size(spec, len(members)) - len(groups[number]), 0)
    groups[number].extend(free[:places])


def _refuse_lost_group(where: str, spec: WaveSpec, directory: HostsByName, left_out: Mapping[str, Exclusion]) -> None:
    """Refuse a group (a canary) that would vanish unproven. Hosts that run the target already have proven it."""
    named = {directory.one_called(f"{where}.hosts", text).agent_id for text in spec.hosts}
    for found in left_out.values():
        meant = spec.selector is not None and spec.selector.matches(found.host.labels)
        if found.code is not Code.ALREADY_AT_TARGET and (meant or found.host.agent_id in named):
            field = f"{where}.hosts" if found.host.agent_id in named else f"{where}.label_selector"
            raise invalid(field, f"every host of the group is left out: {found.message}", "name other hosts")


def fill(
    specs: Sequence[WaveSpec], members: Sequence[HostFacts], named: Sequence[Sequence[HostFacts]], batch_size: int
) -> list[tuple[HostFacts, ...]]:
    """Return the hosts of each wave that has some: groups first, then who stands in none, then the batches.

    Raises:
        RequestError: these are too many waves (caller's fault).
    """
    kept = {host.agent_id for group in named for host in group}
    free = [host for host in members if host.agent_id not in kept]
    groups: list[tuple[HostFacts, ...]] = []
    for spec, group in zip(specs, named, strict=True):
        places = max(_size(spec, len(members)) - len(group), 0)
        groups.append((*group, *free[:places]))
        free = free[places:]
    filled = [group for group in groups if group]
    if batch_size and free:
        _check_batches(batch_size, len(free), MAX_WAVES - len(filled))
    step = batch_size or max(len(free), 1)
    filled.extend(tuple(free[at : at + step]) for at in range(0, len(free), step))
    if len(filled) > MAX_WAVES:
        raise invalid("waves", f"{len(filled)} waves with the one for the rest", f"say at most {MAX_WAVES} in all")
    return filled


def check_shape(shape: Shape, specs: Sequence[WaveSpec], selection: Selection) -> None:
    """Refuse what is said of all waves and contradicts the rest of the request."""
    if shape.batch_size < 0:
        raise invalid("batch_size", str(shape.batch_size), "say hosts per wave, at least 1, or leave it out")
    if shape.batch_size and any(spec.size == "rest" for spec in specs):
        raise invalid("batch_size", "there is a wave of the rest too", "say one of the two: both take every host left")
    if shape.order.by is By.LIST and not selection.hosts:
        raise invalid("order_by", "list, and no host is listed", "list the hosts in selection.hosts")


def _check_batches(batch_size: int, hosts: int, room: int) -> None:
    """Refuse more waves than a plan may have."""
    waves = math.ceil(hosts / batch_size)
    if waves > room:
        remedy = f"say at least {math.ceil(hosts / room)}" if room > 0 else "say fewer waves before the batches"
        raise invalid("batch_size", f"{batch_size} makes {waves} waves of {hosts} hosts, {room} are left", remedy)


def _size(spec: WaveSpec, hosts: int) -> int:
    """Return the places of a wave. Exact: 16.1 % of 1000 is 161, which binary fractions round up to 162."""
    if spec.size == "rest":
        return hosts
    if spec.size is None or spec.value is None:
        return 0
    if spec.size == "count":
        return int(spec.value)
    return math.ceil(Fraction(str(spec.value)) * hosts / _HUNDRED_PERCENT)
