"""Products: each gets a key of its own, and hosts follow without being touched."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import releases_pb2, releases_pb2_grpc
from fleetroll_common.trust.client import TrustClient
from fleetroll_common.trust.source import MetadataAbsent
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.catalogue.metadata import add_files, current_files
from fleetroll_server.store.tables import EventRow, MetaRow, table_of

if TYPE_CHECKING:
    from pathlib import Path

META = table_of(MetaRow)
EVENT = table_of(EventRow)


async def add(server: Any, product: str = "shop") -> releases_pb2.Product:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    answer = await server.client().call(stub.AddProduct, releases_pb2.AddProductRequest(product=product))
    product_added: releases_pb2.Product = answer.product
    return product_added


async def listed(server: Any) -> dict[str, releases_pb2.Product]:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    answer = await server.client().call(stub.ListProducts, releases_pb2.ListProductsRequest())
    return {product.name: product for product in answer.products}


async def keys(server: Any) -> dict[str, str]:
    async with server.services.store.read() as connection:
        rows = await connection.execute(
            sa.select(META.c.key, META.c.value).where(META.c.key.startswith("signing_key/"))
        )
        return {row.key: row.value for row in rows}


class Served:
    """The metadata of a server as a host fetches it."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.files: dict[str, bytes] = {}

    async def renew(self) -> None:
        async with self._server.services.store.read() as connection:
            self.files |= await current_files(connection)

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if name not in self.files:
            raise MetadataAbsent(name)
        return self.files[name][:max_bytes]


async def test_an_installation_lists_the_agent_alone(server: Any) -> None:
    """Nothing else is there before somebody adds it."""
    found = await listed(server)
    assert list(found) == ["agent"]
    assert (found["agent"].role_version, found["agent"].releases) == (1, 0)
    assert found["agent"].expires_at.ToSeconds() > server.clock.now().timestamp()


async def test_a_product_that_was_added_is_listed_and_told(server: Any) -> None:
    """It stands in the list by its name, and in the log with who added it."""
    added = await add(server)
    assert (added.name, added.role_version, added.releases) == ("shop", 1, 0)
    assert list(await listed(server)) == ["agent", "shop"]
    async with server.services.store.read() as connection:
        query = sa.select(EVENT).where(EVENT.c.kind == "product.added", EVENT.c.fleet_id == "")
        (event,) = (await connection.execute(query)).mappings()
    assert (event["message"], event["actor_kind"]) == ("shop", "token")


async def test_its_key_is_its_own_and_sealed(server: Any) -> None:
    """The key store holds no key in clear, and none twice."""
    before = await keys(server)
    await add(server)
    after = await keys(server)
    assert set(after) - set(before) == {"signing_key/products/shop"}
    seeds = [server.services.secrets.open(sealed) for sealed in after.values()]
    assert len(set(seeds)) == len(seeds)
    assert not any(seed.hex() in sealed for seed in seeds for sealed in after.values())


async def test_a_host_follows_the_new_delegation_untouched(server: Any, tmp_path: Path) -> None:
    """What pinned the first root before the product was there knows it after one refresh."""
    source = Served(server)
    await source.renew()
    folder = tmp_path / "trust"
    folder.mkdir()
    client = TrustClient(folder, source.files["1.root.json"], source, SystemClock(), server.clock.now() - timedelta(1))
    await asyncio.to_thread(client.refresh)
    with pytest.raises(TrustError) as caught:
        await asyncio.to_thread(client.targets, "shop")
    assert caught.value.code is Code.NOT_LISTED
    await add(server)
    await source.renew()
    await asyncio.to_thread(client.refresh)
    assert await asyncio.to_thread(client.targets, "shop") == ()
    assert client.timestamp_version == server.services.catalogue.timestamp_version == 2


async def test_a_product_is_added_once(server: Any, refusal: Any) -> None:
    """The second request changes nothing: the key stays the first one's."""
    await add(server)
    before = await keys(server)
    why = await refusal(add(server))
    assert (why.status, why.code) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert (await refusal(add(server, "agent"))).code == "ALREADY_EXISTS"
    assert await keys(server) == before
    assert server.services.catalogue.timestamp_version == 2


async def test_of_two_who_add_at_once_one_is_told(server: Any) -> None:
    """Two of one name: one is added. Two of different names: both are."""
    answers = await asyncio.gather(add(server), add(server), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["AioRpcError", "Product"]
    await asyncio.gather(add(server, "router"), add(server, "site"))
    assert list(await listed(server)) == ["agent", "router", "shop", "site"]


async def test_another_server_that_adds_at_once_is_told_to_try_again(
    server: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between processes the metadata is exchanged only where it is what was signed from."""

    async def overtaken(tx: Any, old: Any, new: Any, *rest: Any) -> None:
        await add_files(tx, {**old, "timestamp.json": b"another one"}, new, *rest)

    before = await keys(server)
    with monkeypatch.context() as patched:
        patched.setattr("fleetroll_server.catalogue.signing.add_files", overtaken)
        why = await refusal(add(server))
    assert why.code == "CONFLICT"
    assert await keys(server) == before
    assert (await add(server)).role_version == 1


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "-shop", "a b", "shop/x", "../agent", "s" * 64, "sh\u00f6p"])
async def test_what_is_no_name_of_a_product_is_refused(server: Any, refusal: Any, name: str) -> None:
    """The name becomes a part of paths on the server and on hosts."""
    why = await refusal(add(server, name))
    assert (why.code, why.facts["field"]) == ("INVALID_ARGUMENT", "product")
    assert list(await listed(server)) == ["agent"]


async def test_fresh_signatures_take_the_new_product_along(server: Any) -> None:
    """A snapshot that is signed again later names the new role as well."""
    await add(server)
    server.clock.advance(4 * 86400)
    await Freshness(server.services).sign_if_due()
    async with server.services.store.read() as connection:
        files = await current_files(connection)
    assert "1.products%2Fshop.json" in files
