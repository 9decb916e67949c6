"""Old releases: which of them nothing needs any more, said at each publishing, and retired where that is wanted."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import types_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.output import note
from fleetroll_client import translate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.values.version import Version
from fleetroll_publishing.verbs import LISTED_KEPT, Retire, too_old

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fleetroll_client import AdminClient
    from fleetroll_common.trust.library import Targets

AT_ONCE = 100
"""Verbs that one request may carry."""
REASON = f"beyond the newest {LISTED_KEPT}, and not in use"


def retire_old(client: AdminClient, product: str, role: Targets, *, retire: bool, ask: bool) -> list[Retire]:
    """Return the verbs that retire what is old in ``role``; without ``retire`` none, and a line that proposes it.

    What is in use is the server's word alone: the list is printed, and whoever signs is asked where ``ask`` says so.

    Raises:
        RequestError: nobody can be asked (caller's fault).
        typer.Abort: no.
    """
    old = too_old(product, role, _needed(client, product))
    if not retire:
        _propose(product, old)
        return []
    if old:
        note(f"{product}: retires {len(old)} releases {REASON}, as the server says: {', '.join(map(str, old))}")
        if ask:
            _ask(f"Take these {len(old)} releases of {product} off the list?")
    return [Retire(version, REASON) for version in old]


def _ask(question: str) -> None:
    """Ask a person."""
    if not sys.stdin.isatty():
        message = "yes: nobody can be asked here whether these releases are retired"
        remedy = "look at the list with --dry-run, then say --yes"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="yes")
    typer.confirm(question, abort=True, err=True)


def proposal(client: AdminClient, product: str, *, retire: bool) -> None:
    """Retire what is old where the server signs, or propose it: what can't be looked up is not proposed then.

    Raises:
        ServerRefusedError: it did not retire; what was published stays so.
    """
    try:
        old = _old(client, product)
    except FleetrollError:
        if retire:
            raise
        return
    if not retire:
        _propose(product, old)
    elif old:
        _retire(client, product, old[:AT_ONCE])


def _old(client: AdminClient, product: str) -> list[Version]:
    """Return the listed releases beyond the newest that nothing needs, oldest first."""
    with translate():
        request = pb.ListReleasesRequest(product=product, page=types_pb2.Page(size=1000))
        found = client.releases.ListReleases(request, timeout=CALL_SECONDS).releases
    listed = sorted(_versions(one.version for one in found if one.state == pb.RELEASE_STATE_LISTED), reverse=True)
    needed = _needed(client, product) if len(listed) > LISTED_KEPT else set()
    return sorted(version for version in listed[LISTED_KEPT:] if version not in needed)


def _retire(client: AdminClient, product: str, old: Sequence[Version]) -> None:
    """Let the server sign it."""
    with translate():
        policy = client.releases.GetProductPolicy(pb.GetProductPolicyRequest(product=product), timeout=CALL_SECONDS)
        changes = [pb.ReleaseChange(retire=pb.Withdraw(version=str(version), reason=REASON)) for version in old]
        wish = pb.ChangeReleasesRequest(
            product=product, role_version=policy.role_version, changes=changes, reason=REASON
        )
        client.releases.ChangeReleases(wish, timeout=CALL_SECONDS)
    note(f"retired {product} {', '.join(map(str, old))}")


def _needed(client: AdminClient, product: str) -> set[Version]:
    """Return what hosts still need."""
    with translate():
        answer = client.releases.ListInUse(pb.ListInUseRequest(product=product), timeout=CALL_SECONDS)
    return set(_versions(one.version for one in answer.releases))


def _versions(texts: Iterable[str]) -> Iterator[Version]:
    """Yield versions; what is none is no release that could be retired."""
    for text in texts:
        with suppress(RequestError):
            yield Version.parse(text)


def _propose(product: str, old: Sequence[Version]) -> None:
    """Say what could be retired."""
    if old:
        versions = ", ".join(map(str, old))
        note(f"{product}: {len(old)} releases {REASON}: {versions}; --retire-old takes them off the list")
