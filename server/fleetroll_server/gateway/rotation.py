"""An agent replaces its key: the new one is held beside the current one until the first hello with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError
from fleetroll_common.wire.signing import rotate_bytes, verify
from fleetroll_server.gateway.convert import wire_code
from fleetroll_server.identity.keys import offer_key
from fleetroll_server.identity.rows import identity_of, retired_keys_of, write_identity
from fleetroll_server.store.tables import AgentRow, table_of

if TYPE_CHECKING:
    from fleetroll_server.gateway.session import SessionKey
    from fleetroll_server.services import Services
    from fleetroll_server.store.tx import Tx

AGENT = table_of(AgentRow)


async def rotate_key(services: Services, key: SessionKey, request: stream_pb2.RotateKey) -> stream_pb2.ConnectResponse:
    """Hold the new key durably and say so; refuse it when either signature does not hold.

    The stream stays in every case: the agent speaks with the key that it has, and may ask again.
    """

    async def job(tx: Tx) -> None:
        mine = (AGENT.c.id == key.agent_id, AGENT.c.fleet_id == key.fleet_id, AGENT.c.epoch == key.epoch)
        found = (await tx.execute(sa.select(AGENT).where(*mine).with_for_update())).mappings().one_or_none()
        if found is None:
            raise RequestError("a newer session of this agent is open", code=Code.RECONNECT, remedy="connect again")
        row = identity_of(found)
        said = rotate_bytes(key.agent_id, row.public_key, request.new_key)
        verify(row.public_key, said, request.current_signature)
        verify(request.new_key, said, request.new_signature)
        retired = await retired_keys_of(tx, key.agent_id, key.fleet_id)
        await write_identity(tx, key.agent_id, key.fleet_id, offer_key(row, request.new_key, retired))

    try:
        await services.store.writer.command(job)
    except FleetrollError as error:
        result = stream_pb2.RotateKeyResult(code=wire_code(error.code))
    else:
        result = stream_pb2.RotateKeyResult(accepted_key=request.new_key)
    return stream_pb2.ConnectResponse(rotate_key_result=result)
