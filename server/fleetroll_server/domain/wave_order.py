"""In which order the hosts of a rollout stand: by name, by a label's value, or as they were listed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fleetroll_server.domain.eligible import HostFacts

MAX_LABEL_CHARS = 63
"""No label's name is longer."""
_LABEL = "label:"


class By(StrEnum):
    """What hosts are ordered by."""

    NAME = "name"
    LABEL = "label"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class WaveOrder:
    """An order; hosts that it does not tell apart stand by name, then id.

    Attributes:
        by: name (the default), the value of a label, or the place in the selection's list of hosts.
        label: whose value, for LABEL. Values are compared as text; hosts without the label come last.
    """

    by: By = By.NAME
    label: str = ""

    @classmethod
    def parse(cls, text: str, *, field: str = "order_by") -> WaveOrder:
        """Read ``name``, ``list`` or ``label:KEY``; empty is the default.

        Raises:
            RequestError: INVALID_ARGUMENT (caller's fault).
        """
        if text.startswith(_LABEL) and 1 <= len(text) - len(_LABEL) <= MAX_LABEL_CHARS:
            return cls(By.LABEL, text.removeprefix(_LABEL))
        if text in {"", By.NAME, By.LIST}:
            return cls(By(text or By.NAME))
        raise RequestError(
            f"{field}: {text[:80]!r} is no order",
            code=Code.INVALID_ARGUMENT,
            remedy="say name, list, or label: and the name of a label, such as label:rack",
            field=field,
        )

    def __str__(self) -> str:
        """Return the text that reads as this order."""
        return f"{_LABEL}{self.label}" if self.by is By.LABEL else self.by.value

    def arranged(self, hosts: Iterable[HostFacts], listed: Sequence[str]) -> list[HostFacts]:
        """Return ``hosts`` in this order; ``listed`` are ids of the hosts that the selection names, in its order."""
        if self.by is By.LIST:
            places = {agent_id: place for place, agent_id in reversed(list(enumerate(listed)))}
            return sorted(hosts, key=lambda host: (places[host.agent_id], *_by_name(host)))
        if self.by is By.LABEL:
            return sorted(hosts, key=lambda host: (*_by_label(host, self.label), *_by_name(host)))
        return sorted(hosts, key=_by_name)


def _by_name(host: HostFacts) -> tuple[str, str]:
    return (host.name, host.agent_id)


def _by_label(host: HostFacts, label: str) -> tuple[bool, str]:
    return (label not in host.labels, host.labels.get(label, ""))
