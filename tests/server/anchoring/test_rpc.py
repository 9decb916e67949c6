"""AnchorsService: what it shows, what it changes, and what hosts that enrol meanwhile are given."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from cryptography import x509

from fleetroll.v1 import anchors_pb2 as pb
from fleetroll.v1 import (
    anchors_pb2_grpc,
    enrolment_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    options_pb2,
    tokens_pb2,
    tokens_pb2_grpc,
)
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_server.anchoring.reported import count_serials, write_serial
from fleetroll_server.certificates import make_ca
from fleetroll_server.store.tables import MetaRow, table_of

OLD, CURRENT, NEXT = pb.AUTHORITY_ROLE_OLD, pb.AUTHORITY_ROLE_CURRENT, pb.AUTHORITY_ROLE_NEXT


async def call(server: Any, name: str, **fields: Any) -> Any:
    stub = anchors_pb2_grpc.AnchorsServiceStub(server.channel)
    answer = await server.client().call(getattr(stub, name), getattr(pb, f"{name}Request")(**fields))
    return answer.state


async def can_connect(server: Any, ca_pem: bytes) -> bool:
    options = [("grpc.use_local_subchannel_pool", 1)]
    credentials = grpc.ssl_channel_credentials(ca_pem)
    async with grpc.aio.secure_channel(server.running.address, credentials, options=options) as channel:
        try:
            await call_on(server, channel)
        except grpc.aio.AioRpcError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in (error.details() or ""):
                raise
            return False
    return True


async def call_on(server: Any, channel: grpc.aio.Channel) -> None:
    stub = anchors_pb2_grpc.AnchorsServiceStub(channel)
    await stub.GetAnchors(pb.GetAnchorsRequest(), metadata=server.client().metadata, timeout=10)


async def test_without_signed_anchors_it_shows_what_enrolment_gives(server: Any) -> None:
    state = await call(server, "GetAnchors")
    assert (state.serial, list(state.addresses), state.signs_here) == (0, [server.running.address], True)
    (only,) = state.authorities
    assert (only.role, only.listed, only.certificate.encode()) == (CURRENT, True, server.services.ca_pem)
    assert len(state.leaf_fingerprint) == 64


async def test_addresses_are_set_with_the_next_serial_and_the_leaf_stands_for_them(server: Any) -> None:
    state = await call(server, "SetAnchors", addresses=["new.example:443", server.running.address], reason="moved")
    assert (state.serial, list(state.addresses)) == (1, ["new.example:443", server.running.address])
    leaf = server.services.leaf.chain[0]
    names = x509.load_pem_x509_certificate(leaf).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert "new.example" in names.value.get_values_for_type(x509.DNSName)
    state = await call(server, "SetAnchors", addresses=["other.example:443"], expected_serial=1)
    assert state.serial == 2


async def test_hosts_that_enrol_get_what_the_anchors_say(server: Any, host: Any) -> None:
    await call(server, "PrepareAuthority")
    await call(server, "SetAnchors", addresses=["new.example:443"])
    tokens = tokens_pb2_grpc.TokensServiceStub(server.channel)
    made = await server.client().call(tokens.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest())
    join = JoinString.decode(made.join_string)
    stub = enrolment_pb2_grpc.EnrolmentServiceStub(server.channel)
    answer = await stub.Enroll(host().request(made.join_string))
    assert join.addresses == tuple(answer.addresses) == ("new.example:443",)
    assert join.ca_pem == answer.ca_pem
    assert join.ca_pem.count(b"BEGIN CERTIFICATE") == 2


async def test_a_ca_follows_another_and_the_old_one_is_dropped(server: Any) -> None:
    old = server.services.ca_pem
    state = await call(server, "PrepareAuthority", reason="every ten years")
    assert (state.serial, [one.role for one in state.authorities]) == (1, [CURRENT, NEXT])
    new = state.authorities[1].certificate.encode()
    assert await call(server, "PrepareAuthority") == state, "asked again, nothing changes"
    assert (await can_connect(server, old), await can_connect(server, new)) == (True, False)

    state = await call(server, "SwitchAuthority")
    assert (state.serial, [one.role for one in state.authorities]) == (1, [OLD, CURRENT])
    assert (await can_connect(server, old), await can_connect(server, new)) == (True, True)

    state = await call(server, "DropAuthority")
    assert (state.serial, [one.certificate.encode() for one in state.authorities]) == (2, [new])
    assert (await can_connect(server, old), await can_connect(server, new)) == (True, True)
    stranger = make_ca("Fleetroll CA", server.clock.now()).certificate
    assert not await can_connect(server, stranger)


async def test_a_stream_that_was_open_before_the_switch_goes_on(server: Any) -> None:
    await call(server, "PrepareAuthority")
    events = events_pb2_grpc.EventsServiceStub(server.channel)
    stream = events.WatchEvents(events_pb2.WatchEventsRequest(), metadata=server.client().metadata)
    await stream.read()
    await call(server, "SwitchAuthority")
    assert not stream.done()
    stream.cancel()


async def test_the_switch_outlives_the_process(installed: Any, launch: Any) -> None:
    async with launch(installed) as server:
        await call(server, "PrepareAuthority")
        state = await call(server, "SwitchAuthority")
        new = state.authorities[1].certificate.encode()
    async with launch(installed) as server:
        assert server.services.ca_pem == new
        again = await call(server, "GetAnchors")
        assert again.leaf_fingerprint == state.leaf_fingerprint


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "INVALID_ARGUMENT", "addresses"),
        ({"addresses": ["no port"]}, "INVALID_ARGUMENT", "addresses"),
        ({"addresses": ["a.example:1"] * 2}, "INVALID_ARGUMENT", "addresses"),
        ({"addresses": [f"a{number}.example:1" for number in range(17)]}, "INVALID_ARGUMENT", "addresses"),
        ({"certificates": ["no PEM"]}, "INVALID_ARGUMENT", "certificates"),
        ({"addresses": ["a.example:1"], "expected_serial": 4}, "CONFLICT", "expected_serial"),
        ({"addresses": ["a.example:1"], "force": True}, "INVALID_ARGUMENT", "reason"),
        ({"addresses": ["a.example:1"], "reason": "x" * 501}, "INVALID_ARGUMENT", "reason"),
    ],
)
async def test_what_can_not_be_set_is_refused_by_name_and_changes_nothing(
    server: Any, refusal: Any, fields: dict[str, Any], code: str, field: str
) -> None:
    before = await call(server, "GetAnchors")
    why = await refusal(call(server, "SetAnchors", **fields))
    assert (why.code, why.facts["field"]) == (code, field)
    assert why.remedy
    assert await call(server, "GetAnchors") == before


async def test_cas_that_lead_away_from_this_server_need_force_and_a_reason(server: Any, refusal: Any) -> None:
    other = make_ca("Another", server.clock.now()).certificate.decode()
    before = await call(server, "GetAnchors")
    why = await refusal(call(server, "SetAnchors", certificates=[other], addresses=["away.example:1"]))
    assert (why.code, why.facts["field"]) == ("CONFLICT", "certificates")
    assert await call(server, "GetAnchors") == before
    state = await call(server, "SetAnchors", certificates=[other], force=True, reason="the fleet moves")
    assert [(one.role, one.listed) for one in state.authorities] == [(OLD, True), (CURRENT, False)]


async def test_steps_out_of_their_order_are_refused(server: Any, refusal: Any) -> None:
    assert (await refusal(call(server, "SwitchAuthority"))).code == "NOT_FOUND"
    assert (await refusal(call(server, "DropAuthority"))).code == "NOT_FOUND"
    await call(server, "PrepareAuthority")
    assert (await refusal(call(server, "DropAuthority"))).code == "NOT_FOUND"
    own = server.services.ca_pem.decode()
    await call(server, "SetAnchors", certificates=[own])
    assert (await refusal(call(server, "SwitchAuthority"))).code == "CONFLICT", "no host knows the successor"
    assert (await refusal(call(server, "SwitchAuthority", force=True))).facts["field"] == "reason"
    state = await call(server, "SwitchAuthority", force=True, reason="the old key is lost to a thief")
    assert [(one.role, one.listed) for one in state.authorities] == [(OLD, True), (CURRENT, False)]


async def test_after_a_switch_that_was_forced_the_old_ca_can_be_dropped(server: Any) -> None:
    """The anchors list the successor then, which they never had, and the old one no more."""
    old = server.services.ca_pem.decode()
    await call(server, "PrepareAuthority")
    await call(server, "SetAnchors", certificates=[old])
    await call(server, "SwitchAuthority", force=True, reason="the old key is lost to a thief")
    state = await call(server, "DropAuthority")
    assert [(one.role, one.listed) for one in state.authorities] == [(CURRENT, True)]
    assert old not in [one.certificate for one in state.authorities]


async def test_without_the_targets_key_a_successor_is_made_and_nothing_is_signed(server: Any, refusal: Any) -> None:
    async def take_away(tx: Any) -> None:
        await tx.execute(sa.delete(table_of(MetaRow)).where(table_of(MetaRow).c.key == "signing_key/targets"))

    await server.services.store.writer.command(take_away)
    state = await call(server, "PrepareAuthority")
    assert (state.serial, state.signs_here) == (0, False)
    assert [(one.role, one.listed) for one in state.authorities] == [(CURRENT, True), (NEXT, False)]
    assert (await refusal(call(server, "SwitchAuthority"))).code == "CONFLICT"
    why = await refusal(call(server, "SetAnchors", addresses=["a.example:1"]))
    assert (why.code, "commit" in why.remedy) == ("NOT_ALLOWED", True)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("GetAnchors", {}),
        ("SetAnchors", {"addresses": ["thief.example:1"]}),
        ("PrepareAuthority", {}),
        ("SwitchAuthority", {}),
        ("DropAuthority", {}),
    ],
)
async def test_whoever_is_bound_to_fleets_neither_sees_nor_changes_what_all_fleets_trust(
    server: Any, refusal: Any, name: str, fields: dict[str, Any]
) -> None:
    before = await call(server, "GetAnchors")
    tokens = tokens_pb2_grpc.TokensServiceStub(server.channel)
    request = tokens_pb2.CreateApiTokenRequest(name="bound", role=options_pb2.ROLE_ADMIN, fleet_ids=["default"])
    bound = server.client((await server.client().call(tokens.CreateApiToken, request)).secret)
    stub = anchors_pb2_grpc.AnchorsServiceStub(server.channel)
    why = await refusal(bound.call(getattr(stub, name), getattr(pb, f"{name}Request")(**fields)))
    assert why.code == "PERMISSION_DENIED"
    assert await call(server, "GetAnchors") == before


async def test_hosts_are_counted_by_the_anchors_that_they_report(server: Any, host: Any) -> None:
    tokens = tokens_pb2_grpc.TokensServiceStub(server.channel)
    made = await server.client().call(tokens.CreateJoinToken, tokens_pb2.CreateJoinTokenRequest(max_uses=3))
    stub = enrolment_pb2_grpc.EnrolmentServiceStub(server.channel)
    ids = [(await stub.Enroll(host(number).request(made.join_string))).agent_id for number in (1, 2, 3)]
    services = server.services
    for serial in (1, 2):
        for agent_id in ids[:2] if serial == 1 else ids[:1]:
            await services.store.writer.command(lambda tx, a=agent_id, s=serial: write_serial(tx, services, a, s))
    state = await call(server, "GetAnchors")
    assert [(one.serial, one.hosts) for one in state.reported] == [(2, 1), (1, 1), (0, 1)]


async def test_a_hello_that_says_the_same_again_writes_nothing(server: Any) -> None:
    services = server.services
    await services.store.writer.command(lambda tx: write_serial(tx, services, "agent-x", 4))

    class Untouchable:
        async def execute(self, *_given: Any) -> Any:
            raise AssertionError("nothing has changed")

    await write_serial(Untouchable(), services, "agent-x", 4)  # type: ignore[arg-type]
    await write_serial(Untouchable(), services, "agent-y", 0)  # type: ignore[arg-type]


async def test_every_store_counts(store: Any) -> None:
    async with store.read() as connection:
        assert await count_serials(connection) == {}
