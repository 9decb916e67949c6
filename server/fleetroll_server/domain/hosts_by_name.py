"""Hosts as requests name them: by id, or by name where one host has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_server.domain.eligible import HostFacts


class HostsByName:
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
            raise invalid(where, f"{len(living)} hosts are called {text[:80]!r}", f"say one of the ids: {ids}")
        return living[0]


def invalid(where: str, what: str, remedy: str) -> RequestError:
    """Return the refusal of a field."""
    return RequestError(f"{where}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=where)
