"""KeysService: how signing keys stand, and keys for the next root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import keys_pb2 as pb
from fleetroll.v1 import keys_pb2_grpc
from fleetroll_server.access.caller import current_caller
from fleetroll_server.access.fleets import require_all_fleets
from fleetroll_server.catalogue.keyhistory import key_standings
from fleetroll_server.catalogue.keys import signing_mode
from fleetroll_server.catalogue.preparing import prepare
from fleetroll_server.observe.rootkeys import readable_root_keys
from fleetroll_server.rpc.convert import set_instant

if TYPE_CHECKING:
    from datetime import datetime

    import grpc

    from fleetroll_server.catalogue.keyhistory import KeyStanding, RoleStanding
    from fleetroll_server.services import Services

    Context = grpc.aio.ServicerContext[Any, Any]


class KeysServicer(keys_pb2_grpc.KeysServiceServicer):
    """Tells about keys. No private half is in any answer."""

    def __init__(self, services: Services) -> None:
        """Work on ``services``."""
        self._services = services

    async def GetKeyStatus(self, request: pb.GetKeyStatusRequest, context: Context) -> pb.GetKeyStatusResponse:  # noqa: ARG002
        """Show every role with its keys."""
        services = self._services
        async with services.store.read() as connection:
            standings = await key_standings(connection, services.secrets)
            mode = await signing_mode(connection)
        now = services.clock.now()
        return pb.GetKeyStatusResponse(
            signing_mode=mode,
            roles=[_role(standing, now) for standing in standings],
            readable_root_keys=[str(path) for path in readable_root_keys(services.settings.root_keys)],
        )

    async def PrepareOnlineKeys(
        self,
        request: pb.PrepareOnlineKeysRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PrepareOnlineKeysResponse:
        """Make keys that wait for a root that names them."""
        caller = current_caller()
        require_all_fleets(caller)
        made = await prepare(self._services, list(request.roles), caller)
        return pb.PrepareOnlineKeysResponse(
            keys=[
                pb.PreparedKey(
                    role=role, key_id=key.public.keyid, public_key=bytes.fromhex(key.public.keyval["public"])
                )
                for role, key in made.items()
            ]
        )


def _role(standing: RoleStanding, now: datetime) -> pb.RoleStatus:
    """Return one role."""
    wire = pb.RoleStatus(
        role=standing.role,
        version=standing.version,
        threshold=standing.threshold,
        keys=[_key(key, now) for key in standing.keys],
    )
    set_instant(wire.expires_at, standing.expires)
    return wire


def _key(key: KeyStanding, now: datetime) -> pb.KeyStatus:
    """Return one key."""
    wire = pb.KeyStatus(
        key_id=key.key_id,
        public_key=bytes.fromhex(key.public),
        old=now >= key.rotate_after,
        held_here=key.held_here,
    )
    set_instant(wire.since, key.since)
    set_instant(wire.rotate_after, key.rotate_after)
    return wire
