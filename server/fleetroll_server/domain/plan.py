"""From a selection and wave specifications to waves of hosts, and to the hosts that are left out with the reason.

Rules:

1. Selected is who is named (all when nobody is), carries every label, fulfils the label selector, runs a version of the
   range, is behind where that is asked for, and isn't excluded by name.
2. Left out, each with one reason: revoked hosts, hosts that keep no such product, hosts at the target, hosts that the
   release has no artefact for.
3. A host that another rollout holds refuses the whole plan: a second rollout of the product is refused, never mixed.
4. Named hosts of a wave come first, in the order in which they were named, then those that its label selector means,
   and are kept for their wave. The other places are filled in the plan's order: by name, then id, where none is said.
5. What the specifications don't cover becomes waves of the batch size, or one last wave without a batch size. Waves are
   numbered from 1 after empty ones were dropped.
6. Percentages are of all hosts that take part, each for itself: 10 %, 50 % are a tenth, then another half.

The result depends on nothing but the arguments, and not on the order of ``hosts``. Preview and start call this alike.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.eligible import objection
from fleetroll_server.domain.hosts_by_name import HostsByName
from fleetroll_server.domain.wave_groups import check_shape, check_specs, fill, groups_of
from fleetroll_server.domain.wave_order import WaveOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fleetroll_common.values.selectors import LabelSelector
    from fleetroll_common.values.version_range import VersionRange
    from fleetroll_server.domain.behind import Newest
    from fleetroll_server.domain.eligible import HostFacts, ReleaseFacts


@dataclass(frozen=True, slots=True)
class Selection:
    """Which hosts a rollout means.

    Attributes:
        hosts: ids or names; empty for all.
        labels: what a host must carry, each with this value.
        exclude: ids or names to leave out.
        selector: what a host's labels must fulfil.
        versions: of the product, of which it must run one; who runs none, or a development build, runs none of a range.
        behind: it must run less than the newest release that it may take.
    """

    hosts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    versions: VersionRange | None = None
    behind: bool = False

    @property
    def is_all(self) -> bool:
        """Tell whether every host of the fleet is meant."""
        return self == Selection()

    def means(self, host: HostFacts, newest: Newest | None) -> bool:
        """Tell whether what is said of hosts, not by name, is true of one."""
        return (
            all(host.labels.get(label) == value for label, value in self.labels.items())
            and (self.selector is None or self.selector.matches(host.labels))
            and (self.versions is None or self.versions.holds(host.version))
            and (not self.behind or (newest is not None and newest.is_behind(host.version, host.platform)))
        )


@dataclass(frozen=True, slots=True)
class WaveSpec:
    """One wave as it is asked for.

    Attributes:
        size: how ``value`` is meant; None for the named hosts alone.
        value: hosts >= 1 for ``count``; over 0 to 100, of all hosts that take part, rounded up, for ``percent``;
            unused else.
        hosts: ids or names that go into this wave first.
        selector: hosts that go into it next, as many as there are places; all of them in a wave without a size.
    """

    size: Literal["count", "percent", "rest"] | None
    value: float | None = None
    hosts: tuple[str, ...] = ()
    selector: LabelSelector | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What is said of all waves.

    Attributes:
        batch_size: hosts of each wave that the specifications don't cover, >= 1; 0 for one wave of them all.
        order: in which hosts fill the waves.
    """

    batch_size: int = 0
    order: WaveOrder = WaveOrder()  # noqa: RUF009 (it can't change)


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
    selection: Selection,
    wave_specs: Sequence[WaveSpec],
    hosts: Sequence[HostFacts],
    release: ReleaseFacts,
    *,
    shape: Shape = Shape(),
    newest: Newest | None = None,
) -> Plan:
    """Plan a rollout.

    Args:
        selection: which hosts are meant.
        wave_specs: the waves in order; none means one wave of all.
        hosts: the fleet, revoked hosts too.
        release: what is rolled out.
        shape: batch size and order.
        newest: what decides who is behind; needed where the selection asks for that.

    Raises:
        RequestError: a name is unknown or ambiguous, a wave can't be built, a host is held by another rollout, or no
            host is left (caller's fault).
    """
    check_specs(wave_specs)
    check_shape(shape, wave_specs, selection)
    directory = HostsByName(hosts)
    selected = _select(selection, directory, newest)
    exclusions = tuple(found for host in selected if (found := _exclusion(host, release)) is not None)
    left_out = {found.host.agent_id: found for found in exclusions}
    _refuse_claimed([host for host in selected if _matters(left_out.get(host.agent_id))])
    members = [host for host in selected if host.agent_id not in left_out]
    if not members:
        raise _nobody_left(selection, selected, exclusions)
    listed = [directory.one_called("selection.hosts", text).agent_id for text in selection.hosts]
    members = shape.order.arranged(members, listed)
    groups = groups_of(wave_specs, directory, members, left_out)
    waves = fill(wave_specs, members, groups, shape.batch_size)
    return Plan(tuple(PlannedWave(number, hosts) for number, hosts in enumerate(waves, 1)), exclusions)


def _select(selection: Selection, directory: HostsByName, newest: Newest | None) -> list[HostFacts]:
    """Apply rule 1. A name to exclude excludes every host that has it: leaving out too many is the safe side."""
    wanted = {directory.one_called("selection.hosts", text).agent_id for text in selection.hosts}
    unwanted = {host.agent_id for text in selection.exclude for host in directory.all_called("selection.exclude", text)}
    return [
        host
        for host in directory.ordered
        if (not selection.hosts or host.agent_id in wanted)
        and host.agent_id not in unwanted
        and selection.means(host, newest)
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
        which = "the fleet" if selection.is_all else "the selection"
        message = f"no host is left: {which} has none"
    else:
        counts = Counter(found.code for found in exclusions)
        reasons = ", ".join(f"{count} {code}" for code, count in sorted(counts.items()))
        message = f"no host is left: {len(exclusions)} of {len(selected)} selected are excluded: {reasons}"
    return RequestError(message, code=Code.NO_HOSTS, remedy="select other hosts or another release")
