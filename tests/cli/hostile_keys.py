"""A server in a thief's hands, as the commands about keys meet it: it keeps what it is sent, and says what suits it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc

from fleetroll.v1 import anchors_pb2, keys_pb2, releases_pb2
from fleetroll_client import ServerRefusedError
from fleetroll_common.values.codes import Code
from fleetroll_publishing.keys import PrivateKey

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stream(list[releases_pb2.GetRepositoryFileResponse]):
    """An answer in pieces."""

    def cancel(self) -> None:
        """Nothing is on its way."""


class Hostile:
    """The server.

    Attributes:
        files: the repository that it shows.
        held: the roles whose keys it says it holds.
        taken: what it was sent to commit, on trial or not.
        asked: the roles for which it was asked to make keys.
        thief: whose public half it gives for each of them.
    """

    def __init__(self, files: Mapping[str, bytes], *held: str) -> None:
        self.files, self.held = files, held
        self.taken: list[releases_pb2.CommitMetadataRequest] = []
        self.asked: list[str] = []
        self.thief = [PrivateKey.generate() for _ in range(4)]
        self.authorities: list[anchors_pb2.Authority] = []
        self.client: Any = SimpleNamespace(releases=self, keys=self, anchors=self)

    def GetRepositoryFile(self, request: Any, timeout: float) -> Stream:
        assert timeout
        name = request.name.removeprefix("metadata/")
        if name not in self.files:
            raise ServerRefusedError(
                "none", code=Code.NOT_FOUND, status=grpc.StatusCode.NOT_FOUND, remedy="", details={}
            )
        return Stream([releases_pb2.GetRepositoryFileResponse(chunk=self.files[name])])

    def GetAnchors(self, request: Any, timeout: float) -> anchors_pb2.GetAnchorsResponse:
        assert (request is not None, timeout > 0) == (True, True)
        return anchors_pb2.GetAnchorsResponse(state=anchors_pb2.AnchorsState(authorities=self.authorities))

    def GetKeyStatus(self, request: Any, timeout: float) -> keys_pb2.GetKeyStatusResponse:
        assert request is not None
        assert timeout
        roles = [
            keys_pb2.RoleStatus(role=role, keys=[keys_pb2.KeyStatus(held_here=role in self.held)])
            for role in ("targets", "products/agent", "products/shop")
        ]
        return keys_pb2.GetKeyStatusResponse(signing_mode="managed", roles=roles)

    def PrepareOnlineKeys(self, request: Any, timeout: float) -> keys_pb2.PrepareOnlineKeysResponse:
        assert timeout
        self.asked += request.roles
        made = zip(request.roles, self.thief, strict=False)
        keys = [
            keys_pb2.PreparedKey(role=role, public_key=bytes.fromhex(str(key.public.keyval["public"])))
            for role, key in made
        ]
        return keys_pb2.PrepareOnlineKeysResponse(keys=keys)

    def CommitMetadata(self, request: Any, timeout: float) -> releases_pb2.CommitMetadataResponse:
        assert timeout
        self.taken.append(request)
        return releases_pb2.CommitMetadataResponse(timestamp_version=2)
