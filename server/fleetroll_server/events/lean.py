"""What watchers do not get of a thing: texts and lists that a person reads of one thing at a time, and asks for.

A failed rollout of thousands of hosts has thousands of outputs, and a rollout may name any number of hosts. Whoever
watches shows rows; ``GetAgent``, ``ListRolloutHosts`` and ``GetRollout`` have the whole. It is cut where it is read, so
that nothing that waits for a watcher holds it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import RowMapping

    from fleetroll_server.engine.reads import Shown
    from fleetroll_server.hosts.inventory import Host, Product

TAIL_CHARS = 1000
"""Of the output of a host of the rollout that is watched: the last lines, where the reason stands."""
SELECTION_CHARS = 4000
"""Of the names in a selection that is told: some hundred hosts. A longer one is left out whole, since one that holds
less than it should looks like another."""
_NOT_TOLD: Mapping[str, Any] = {"hosts": [], "labels": {}, "exclude": []}


def hosts(found: Sequence[Host]) -> list[Host]:
    """Return hosts without the output of their attempts."""
    return [_host(host) if any(map(_speaks, host.products)) else host for host in found]


def rollouts(found: Sequence[Shown]) -> list[Shown]:
    """Return rollouts, those that name many hosts without the names."""
    return [
        replace(shown, row=_but(shown.row, selection=_NOT_TOLD)) if _names_many(shown) else shown for shown in found
    ]


def tells_selection(shown: Shown) -> bool:
    """Tell whether a rollout holds its selection still."""
    return shown.row["selection"] is not _NOT_TOLD


def members(found: Sequence[tuple[str, RowMapping]]) -> list[tuple[str, RowMapping]]:
    """Return hosts of a rollout with no more than the end of their output."""
    return [
        (
            version,
            row if len(row["output_tail"]) <= TAIL_CHARS else _but(row, output_tail=row["output_tail"][-TAIL_CHARS:]),
        )
        for version, row in found
    ]


def _names_many(shown: Shown) -> bool:
    """Tell whether the names in a rollout's selection are too long; no more are looked at than that takes."""
    selection = shown.row["selection"]
    names = islice(chain(selection["hosts"], selection["exclude"]), SELECTION_CHARS)
    return sum(len(name) + 1 for name in names) > SELECTION_CHARS


def _host(host: Host) -> Host:
    """Return the host without what its attempts hold."""
    return replace(host, products=tuple(map(_product, host.products)), attempts=())


def _product(product: Product) -> Product:
    """Return the product without the output of its attempts."""
    return replace(product, attempts=tuple(replace(attempt, output_tail="") for attempt in product.attempts))


def _speaks(product: Product) -> bool:
    """Tell whether an attempt has an output."""
    return any(attempt.output_tail for attempt in product.attempts)


def _but(row: RowMapping, **values: object) -> RowMapping:
    """Return a row with other values: a dictionary, which whoever reads rows by their names takes as well."""
    return cast("RowMapping", {**row, **values})
