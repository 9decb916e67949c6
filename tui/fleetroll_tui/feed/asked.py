"""What is asked of a server beside the watch, and what is decided about its releases."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fleetroll.v1 import anchors_pb2, keys_pb2, recovery_pb2, releases_pb2, server_info_pb2, types_pb2
from fleetroll_client import ServerRefusedError, translate
from fleetroll_common.values.codes import Code
from fleetroll_tui.feed import papers
from fleetroll_tui.feed.base import NoAnswerError
from fleetroll_tui.model.releases import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_client import AsyncAdminClient
    from fleetroll_tui.model.anchors import Anchors
    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.model.releases import FloorPreview, InUse, Policy, Release
    from fleetroll_tui.model.signing import ServerInfo, Signing

CALL_SECONDS = 10.0
"""How long a call waits for its answer."""
PAGE_RELEASES = 50
"""With notes of 20,000 characters each these are a message that is let through."""
MOST_PRODUCTS = 500
MOST_RELEASES = 20_000
"""More are not shown: a server that never ends its list would never be done with."""
LOOK_AGAIN = "when the line is back, look how it stands before you decide again"


class Asked:
    """The part of a real server that answers questions."""

    _client: AsyncAdminClient

    async def catalogue(self) -> Catalogue:
        """Return every release, every product, and what their publishers rule."""
        with translate():
            answer = await self._client.releases.ListProducts(releases_pb2.ListProductsRequest(), timeout=CALL_SECONDS)
            products = {each.name: papers.product(each) for each in answer.products[:MOST_PRODUCTS]}
            policies = {name: policy for name in products if (policy := await self._policy(name)) is not None}
            return Catalogue(await self._releases(), products, policies)

    async def _releases(self) -> tuple[Release, ...]:
        found: list[Release] = []
        page = types_pb2.Page(size=PAGE_RELEASES)
        while len(found) < MOST_RELEASES:
            request = releases_pb2.ListReleasesRequest(page=page)
            answer = await self._client.releases.ListReleases(request, timeout=CALL_SECONDS)
            found += map(papers.release, answer.releases)
            if not answer.next_cursor:
                break
            page = types_pb2.Page(size=PAGE_RELEASES, cursor=answer.next_cursor)
        return tuple(found)

    async def _policy(self, product: str) -> Policy | None:
        """Return what is ruled about a product; None where the server is of a version that does not tell."""
        request = releases_pb2.GetProductPolicyRequest(product=product)
        try:
            with translate():
                answer = await self._client.releases.GetProductPolicy(request, timeout=CALL_SECONDS)
        except ServerRefusedError as error:
            if error.code is Code.UNIMPLEMENTED:
                return None
            raise
        return papers.policy(answer)

    async def in_use(self, product: str) -> dict[str, InUse]:
        """Return what hosts still need of a product, by version."""
        request = releases_pb2.ListInUseRequest(product=product)
        with translate():
            return papers.in_use(await self._client.releases.ListInUse(request, timeout=CALL_SECONDS))

    async def preview_floor(self, product: str, version: str) -> FloorPreview:
        """Return what a floor would mean."""
        request = releases_pb2.PreviewFloorRequest(product=product, version=version)
        with translate():
            return papers.floor_preview(await self._client.releases.PreviewFloor(request, timeout=CALL_SECONDS))

    async def signing(self) -> Signing:
        """Return every role with its keys."""
        with translate():
            answer = await self._client.keys.GetKeyStatus(keys_pb2.GetKeyStatusRequest(), timeout=CALL_SECONDS)
        return papers.signing(answer)

    async def server_info(self) -> ServerInfo:
        """Return what server it is."""
        request = server_info_pb2.GetServerInfoRequest()
        with translate():
            answer = await self._client.server_info.GetServerInfo(request, timeout=CALL_SECONDS)
        return papers.server_info(answer)

    async def anchors(self) -> Anchors:
        """Return where hosts find their servers, and how many know it."""
        with translate():
            answer = await self._client.anchors.GetAnchors(anchors_pb2.GetAnchorsRequest(), timeout=CALL_SECONDS)
        return papers.anchors(answer.state)

    async def recovery(self) -> Recovery:
        """Return whether the server takes its fleet back, and how far it is."""
        with translate():
            answer = await self._client.recovery.GetRecovery(recovery_pb2.GetRecoveryRequest(), timeout=CALL_SECONDS)
        return papers.recovery(answer.recovery)

    async def admit(self, hosts: tuple[str, ...], reason: str) -> None:
        """Let hosts have updates that are younger than the backup."""
        request = recovery_pb2.ApproveHostsRequest(agent_ids=hosts, reason=reason)
        with decided():
            await self._client.recovery.ApproveHosts(request, timeout=CALL_SECONDS)

    async def end_recovery(self, not_seen: int, reason: str) -> None:
        """Let the server offer again, knowing how many hosts were not seen."""
        request = recovery_pb2.EndRecoveryRequest(reason=reason, hosts_not_seen=not_seen)
        with decided():
            await self._client.recovery.EndRecovery(request, timeout=CALL_SECONDS)

    async def withdraw(self, product: str, role_version: int, verb: str, version: str, reason: str) -> None:
        """Take a release off the list: "yank", "retire" or "revoke"."""
        withdraw = releases_pb2.Withdraw(version=version, reason=reason)
        await self._change(product, role_version, reason, releases_pb2.ReleaseChange(**{verb: withdraw}))  # type: ignore[arg-type]

    async def promote(
        self, product: str, role_version: int, version: str, channels: tuple[str, ...], reason: str
    ) -> None:
        """List a release in exactly these channels."""
        listed = releases_pb2.SetChannels(version=version, channels=channels)
        await self._change(product, role_version, reason, releases_pb2.ReleaseChange(set_channels=listed))

    async def set_floor(self, product: str, role_version: int, version: str, stranded: int, reason: str) -> None:
        """Rule below which version nothing is installed anew, knowing how many hosts it leaves without a way up."""
        ruled = releases_pb2.SetFloor(version=version, stranded=stranded)
        await self._change(product, role_version, reason, releases_pb2.ReleaseChange(set_floor=ruled))

    async def _change(self, product: str, role_version: int, reason: str, change: releases_pb2.ReleaseChange) -> None:
        request = releases_pb2.ChangeReleasesRequest(
            product=product, role_version=role_version, changes=[change], reason=reason
        )
        with decided():
            await self._client.releases.ChangeReleases(request, timeout=CALL_SECONDS)


@contextmanager
def decided() -> Iterator[None]:
    """Turn errors of a decision into those of the protocol.

    Raises:
        NoAnswerError: no word of the server came.
        ServerRefusedError: it said no.
    """
    try:
        with translate():
            yield
    except ServerRefusedError as error:
        if error.answered:
            raise
        raise NoAnswerError(error.message, code=error.code, remedy=LOOK_AGAIN) from error
