"""What an administrator does to releases of a running server: verbs, by the version of the list that stands."""

from __future__ import annotations

from typing import Any

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import releases_pb2_grpc

WHY = "it eats the disk"


def yank(version: str) -> pb.ReleaseChange:
    return pb.ReleaseChange(yank=pb.Withdraw(version=version, reason=WHY))


def retire(version: str) -> pb.ReleaseChange:
    return pb.ReleaseChange(retire=pb.Withdraw(version=version, reason=WHY))


def revoke(version: str) -> pb.ReleaseChange:
    return pb.ReleaseChange(revoke=pb.Withdraw(version=version, reason=WHY))


def channels(version: str, *names: str) -> pb.ReleaseChange:
    return pb.ReleaseChange(set_channels=pb.SetChannels(version=version, channels=names))


def floor(version: str, stranded: int = 0) -> pb.ReleaseChange:
    return pb.ReleaseChange(set_floor=pb.SetFloor(version=version, stranded=stranded))


def intermediates(*versions: str) -> pb.ReleaseChange:
    return pb.ReleaseChange(set_intermediates=pb.SetIntermediates(versions=versions))


class Ruler:
    """An administrator of one server.

    Attributes:
        stub: of the service.
        product: whose releases are meant.
    """

    def __init__(self, call: Any, channel: Any, product: str = "agent") -> None:
        """Call through ``call``, which adds the token."""
        self.stub = releases_pb2_grpc.ReleasesServiceStub(channel)
        self.product = product
        self._call = call

    async def policy(self) -> pb.GetProductPolicyResponse:
        answer: pb.GetProductPolicyResponse = await self._call(
            self.stub.GetProductPolicy, pb.GetProductPolicyRequest(product=self.product)
        )
        return answer

    async def change(
        self, *changes: pb.ReleaseChange, role_version: int = 0, recall: bool = False
    ) -> pb.ChangeReleasesResponse:
        """Apply verbs to the list as it stands, or as it stood at ``role_version``."""
        request = pb.ChangeReleasesRequest(
            product=self.product,
            role_version=role_version or (await self.policy()).role_version,
            changes=changes,
            reason="a test",
            recall=recall,
        )
        answer: pb.ChangeReleasesResponse = await self._call(self.stub.ChangeReleases, request)
        return answer

    async def release(self, version: str) -> pb.Release:
        request = pb.GetReleaseRequest(product=self.product, version=version)
        found: pb.Release = (await self._call(self.stub.GetRelease, request)).release
        return found

    async def in_use(self) -> dict[str, tuple[int, int, int, bool]]:
        answer = await self._call(self.stub.ListInUse, pb.ListInUseRequest(product=self.product))
        return {one.version: (one.running, one.previous, one.wanted, one.intermediate) for one in answer.releases}

    async def preview(self, version: str) -> pb.PreviewFloorResponse:
        request = pb.PreviewFloorRequest(product=self.product, version=version)
        answer: pb.PreviewFloorResponse = await self._call(self.stub.PreviewFloor, request)
        return answer
