"""From a call's metadata and its rule to the caller, or to the reason why not. Every decision is made here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.handshake import SESSION_TOKEN_KEY
from fleetroll_server.access.caller import AgentCaller, Anyone, Caller, Role
from fleetroll_server.access.declared import AgentOnly, PeopleOnly, Public, Rule
from fleetroll_server.access.secretwords import MAX_SECRET_CHARS, hashed
from fleetroll_server.identity.sessions import agent_of
from fleetroll_server.store.tables import ApiTokenRow, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fleetroll_common.values.clock import Clock
    from fleetroll_server.store import Store

AUTHORIZATION_KEY = "authorization"
_SCHEME = "bearer "
_TOKEN = table_of(ApiTokenRow)


class Authoriser:
    """Decides about calls."""

    def __init__(self, store: Store, clock: Clock, server_key: bytes) -> None:
        """Read tokens from ``store``; check session tokens under ``server_key``."""
        self._store = store
        self._clock = clock
        self._server_key = server_key

    async def authorise(self, rule: Rule, metadata: Sequence[tuple[str, str | bytes]]) -> Anyone:
        """Return who calls; None where the rule asks for nobody.

        Raises:
            RequestError: UNAUTHENTICATED, RECONNECT or PERMISSION_DENIED (caller's fault).
            StoreError: tokens can't be read now.
        """
        match rule:
            case Public():
                return None
            case AgentOnly():
                return await self._agent(metadata)
            case PeopleOnly():
                return _allowed(await self._person(metadata), rule)
            case other:
                assert_never(other)

    async def _agent(self, metadata: Sequence[tuple[str, str | bytes]]) -> AgentCaller:
        """Return the agent whose session token came along."""
        token = _single(metadata, SESSION_TOKEN_KEY)
        if not isinstance(token, bytes):
            if _single(metadata, AUTHORIZATION_KEY) is not None:
                raise _denied("this call is for agents in a session")
            raise _unauthenticated("no session token came along", "open the stream first")
        async with self._store.read() as connection:
            return await agent_of(connection, self._server_key, token, self._clock.now())

    async def _person(self, metadata: Sequence[tuple[str, str | bytes]]) -> Caller:
        """Return the holder of the API token that came along."""
        value = _single(metadata, AUTHORIZATION_KEY)
        if value is None and _single(metadata, SESSION_TOKEN_KEY) is not None:
            raise _denied("agents may not call this")
        if not isinstance(value, str) or not value.lower().startswith(_SCHEME):
            raise _unauthenticated("no API token came along", "send the metadata 'authorization: Bearer <token>'")
        secret = value[len(_SCHEME) :].strip()
        if len(secret) > MAX_SECRET_CHARS:
            raise _unknown_token()
        async with self._store.read() as connection:
            row = (
                await connection.execute(sa.select(_TOKEN).where(_TOKEN.c.secret_hash == hashed(secret)))
            ).one_or_none()
        if row is None:
            raise _unknown_token()
        _check_valid(row, self._clock.now())
        return Caller("token", row.id, Role(row.role), frozenset(row.scopes), tuple(row.fleet_ids))


async def check_standing(connection: AsyncConnection, caller: Caller, now: datetime) -> None:
    """Look again at the token of a call that lasts: it may have ended since the call began.

    Raises:
        RequestError: UNAUTHENTICATED (an admin's decision, or its time).
    """
    query = sa.select(_TOKEN.c.revoked, _TOKEN.c.expires_at).where(_TOKEN.c.id == caller.actor_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise _unknown_token()
    _check_valid(row, now)


def _check_valid(row: Any, now: datetime) -> None:  # noqa: ANN401 (a row)
    """Refuse a token that has ended."""
    if row.revoked:
        raise _unknown_token()
    if row.expires_at <= now:
        raise _unauthenticated(f"API token: it ended at {row.expires_at.isoformat()}", "ask an admin for a new one")


def _allowed(caller: Caller, rule: PeopleOnly) -> Caller:
    """Return ``caller`` when role and scopes suffice."""
    if caller.role.rank < rule.role.rank:
        raise _denied(f"role: this needs {rule.role}, the token's is {caller.role}")
    if caller.scopes and rule.scope not in caller.scopes:
        raise _denied(f"scope: this needs {rule.scope}, which the token does not have")
    return caller


def _single(metadata: Sequence[tuple[str, str | bytes]], key: str) -> str | bytes | None:
    """Return the one value of ``key``; several are as good as none that counts."""
    values = [value for name, value in metadata if name == key]
    if len(values) > 1:
        raise _unauthenticated(f"{key}: it came {len(values)} times", "send one credential")
    return values[0] if values else None


def _unknown_token() -> RequestError:
    """Return the same error for what never was a token and for a revoked one."""
    return _unauthenticated("API token: it is unknown or revoked", "ask an admin for a new one")


def _unauthenticated(message: str, remedy: str) -> RequestError:
    """Return the error of a credential that does not count."""
    return RequestError(message, code=Code.UNAUTHENTICATED, remedy=remedy)


def _denied(message: str) -> RequestError:
    """Return the error of a credential that does not suffice."""
    return RequestError(message, code=Code.PERMISSION_DENIED, remedy="use a token that may, or ask an admin")
