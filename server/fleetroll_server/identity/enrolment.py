"""Enrolment: a token and a key become an identity, in one transaction.

1. Sizes, then the proof: the key signs token and key, so nobody can enrol a key that he does not hold.
2. The pair (token, key) is known: the same answer again, whatever has become of the token since, and whatever the host
   says of itself now. A lost answer burns no token.
3. Otherwise the token must exist, be neither revoked nor over, and have a use left.
4. It must be for this host: a readmission token for the agent that the host says it is, a join token for a new host.
5. A join token makes an agent; a readmission token gives its agent's identity to the new key, and to no other.

Labels are the agent's row's: written when it is made, token before host, and answered from there ever after.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.handshake import RATCHET_BYTES, require_size
from fleetroll_common.wire.signing import KEY_BYTES, enroll_bytes, verify
from fleetroll_server.access.secretwords import MAX_SECRET_CHARS, hashed
from fleetroll_server.identity.addressee import check_addressee
from fleetroll_server.identity.jointokens import TokenKind
from fleetroll_server.identity.keys import enrolled
from fleetroll_server.identity.readmission import readmit_agent
from fleetroll_server.store import EventFact
from fleetroll_server.store.fleets import every_fleet
from fleetroll_server.store.tables import AgentRow, EnrolmentRow, JoinTokenRow, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import RowMapping

    from fleetroll_common.values.platform import Platform
    from fleetroll_server.store import Tx

_TOKEN = table_of(JoinTokenRow)
_ENROLMENT = table_of(EnrolmentRow)
_AGENT = table_of(AgentRow)
_ASK = "ask an admin for a new join string"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a host says of itself when it joins; checked for form by whoever made it.

    ``agent_id`` is the agent that it is and would be again; empty: it is new.
    """

    token: str = field(repr=False)
    public_key: bytes
    signature: bytes
    host_name: str
    platform: Platform
    labels: Mapping[str, str]
    ratchet: bytes
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the host becomes."""

    agent_id: str
    fleet_id: str
    labels: Mapping[str, str]


def check_claim(claim: Claim) -> None:
    """Check what needs no database.

    Raises:
        RequestError: INVALID_ARGUMENT, TOKEN_UNKNOWN or BAD_SIGNATURE (host's fault).
    """
    require_size("public_key", claim.public_key, KEY_BYTES)
    require_size("ratchet", claim.ratchet, RATCHET_BYTES)
    if not 1 <= len(claim.token) <= MAX_SECRET_CHARS:
        raise _no(Code.TOKEN_UNKNOWN, "it is unknown")
    verify(claim.public_key, enroll_bytes(claim.token, claim.public_key), claim.signature)


async def enroll(tx: Tx, claim: Claim, fresh_id: str, close: Callable[[str], None]) -> Identity:
    """Turn a checked claim into an identity.

    Args:
        tx: the transaction.
        claim: checked by :func:`check_claim`.
        fresh_id: the id of a new agent.
        close: ends the sessions of an agent whose key was replaced; runs after the commit.

    Raises:
        RequestError: TOKEN_UNKNOWN, TOKEN_REVOKED, TOKEN_EXPIRED, TOKEN_USED_UP; ALREADY_EXISTS: the key is another
            agent's; IDENTITY_REVOKED; INVALID_ARGUMENT: the token is not for this host (host's or admin's fault).
    """
    token = await _token(tx, claim.token)
    known = await _known(tx, token, claim.public_key)
    if known is not None:
        return await _identity(tx, known, token["fleet_id"])
    _check_usable(token, tx)
    check_addressee(token["agent_id"], claim.agent_id)
    await _check_key_is_new(tx, claim.public_key)
    if token["kind"] == TokenKind.READMIT.value:
        agent_id = token["agent_id"]
        await readmit_agent(tx, agent_id, token["fleet_id"], claim.public_key, claim.ratchet)
        tx.after_commit(lambda: close(agent_id))
    else:
        agent_id = fresh_id
        labels = {**claim.labels, **token["labels"]}
        await tx.execute(sa.insert(_AGENT).values(_agent_row(tx, claim, agent_id, token["fleet_id"], labels)))
    await _spend(tx, token, claim.public_key, agent_id)
    return await _identity(tx, agent_id, token["fleet_id"])


async def _identity(tx: Tx, agent_id: str, fleet_id: str) -> Identity:
    """Return what the agent is. A host that asks again may call itself otherwise by now: that changes no answer."""
    mine = (_AGENT.c.id == agent_id, _AGENT.c.fleet_id == fleet_id)
    labels = (await tx.execute(sa.select(_AGENT.c.labels).where(*mine))).scalar_one()
    return Identity(agent_id, fleet_id, labels)


async def _token(tx: Tx, secret: str) -> RowMapping:
    """Return the token's row, locked. The fleet is what is found out here."""
    query = sa.select(_TOKEN).where(_TOKEN.c.secret_hash == hashed(secret)).with_for_update()
    row = (await tx.execute(every_fleet(query, "the fleet is what is found out"))).mappings().one_or_none()
    if row is None:
        raise _no(Code.TOKEN_UNKNOWN, "it is unknown")
    return row


async def _known(tx: Tx, token: RowMapping, public_key: bytes) -> str | None:
    """Return the agent that this key became by this token."""
    query = sa.select(_ENROLMENT.c.agent_id).where(
        _ENROLMENT.c.token_id == token["id"],
        _ENROLMENT.c.public_key == public_key,
        _ENROLMENT.c.fleet_id == token["fleet_id"],
    )
    agent_id: str | None = (await tx.execute(query)).scalar_one_or_none()
    if agent_id is None:
        return None
    revoked = sa.select(_AGENT.c.revoked).where(_AGENT.c.id == agent_id, _AGENT.c.fleet_id == token["fleet_id"])
    if (await tx.execute(revoked)).scalar_one():
        message = "agent: it is revoked"
        raise RequestError(message, code=Code.IDENTITY_REVOKED, remedy="make a new key and use a new join string")
    return agent_id


def _check_usable(token: RowMapping, tx: Tx) -> None:
    """Refuse a token that enrols nobody any more."""
    if token["revoked"]:
        raise _no(Code.TOKEN_REVOKED, "it was revoked")
    if token["expires_at"] <= tx.now:
        raise _no(Code.TOKEN_EXPIRED, f"it ended at {token['expires_at'].isoformat()}")
    if token["uses"] >= token["max_uses"]:
        raise _no(Code.TOKEN_USED_UP, f"all {token['max_uses']} uses are spent")


async def _check_key_is_new(tx: Tx, public_key: bytes) -> None:
    """Refuse the key of another agent, of whatever fleet: one key is one host."""
    query = sa.select(_AGENT.c.id).where(sa.or_(_AGENT.c.public_key == public_key, _AGENT.c.next_key == public_key))
    if (await tx.execute(every_fleet(query, "one key is one host, of whatever fleet"))).first() is not None:
        message = "public_key: it is an agent's already"
        remedy = "remove the host's identity folder, or repeat with the join string that it was enrolled with"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy=remedy, field="public_key")


def _agent_row(tx: Tx, claim: Claim, agent_id: str, fleet_id: str, labels: Mapping[str, str]) -> dict[str, object]:
    """Return a new agent's row."""
    row = AgentRow(
        id=agent_id,
        fleet_id=fleet_id,
        name=claim.host_name,
        os=claim.platform.os,
        arch=claim.platform.arch,
        abi=claim.platform.abi,
        labels=dict(labels),
        enrolled_at=tx.now,
        **asdict(enrolled(claim.public_key, claim.ratchet)),
    )
    return row.model_dump()


async def _spend(tx: Tx, token: RowMapping, public_key: bytes, agent_id: str) -> None:
    """Count the use and remember the pair."""
    mine = (_TOKEN.c.id == token["id"], _TOKEN.c.fleet_id == token["fleet_id"])
    await tx.execute(sa.update(_TOKEN).where(*mine).values(uses=_TOKEN.c.uses + 1))
    await tx.execute(
        sa.insert(_ENROLMENT).values(
            token_id=token["id"],
            public_key=public_key,
            fleet_id=token["fleet_id"],
            agent_id=agent_id,
            enrolled_at=tx.now,
        )
    )
    kind = "agent.readmitted" if token["kind"] == TokenKind.READMIT.value else "agent.enrolled"
    tx.emit(
        EventFact(
            fleet_id=token["fleet_id"],
            kind=kind,
            actor_kind=token["actor_kind"],
            actor_id=token["actor_id"],
            reason=token["reason"],
            agent_id=agent_id,
            facts={"token": token["id"]},
        )
    )


def _no(code: Code, why: str) -> RequestError:
    """Return the error about the token; its secret stays out of it."""
    return RequestError(f"token: {why}", code=code, remedy=_ASK, field="token")
