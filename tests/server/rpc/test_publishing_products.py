"""Publishing products that are not the agent: the same gate, another first file, no stamp."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, types_pb2
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_publishing.artefact import build_product_artefact
from fleetroll_server.catalogue import reads
from tests.faults.uploads import fetch, header, publish

if TYPE_CHECKING:
    from pathlib import Path

WIDE = types_pb2.Platform(os="linux", arch="x86_64", abi="any")


@pytest.fixture
def built(tmp_path: Path) -> Any:
    """An artefact of one file, "shop", as a person builds it."""
    source = tmp_path / "tree" / "shop"
    source.parent.mkdir()
    source.write_bytes(b"#!/bin/sh\necho open\n")
    made = build_product_artefact(source, tmp_path / "shop.tar.zst", level=1)
    return replace(made, path=made.path.rename(tmp_path / "1.2.0.tar.zst"))


def shop(built: Any, **other: Any) -> releases_pb2.PublishHeader:
    return header(built, **({"product": "shop", "platform": WIDE, "entry_point": "shop"} | other))


async def add(server: Any, product: str = "shop") -> None:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    await server.client().call(stub.AddProduct, releases_pb2.AddProductRequest(product=product))


async def test_a_product_is_published_without_a_stamp(server: Any, built: Any) -> None:
    """What is signed says its first file, its platform and what the publisher said."""
    await add(server)
    head = shop(built, migrations_required=True, supported_from=">=1.0.0", breaking_changes="all")
    made = await publish(server, head, built.path.read_bytes())
    assert (made.role_version, made.release.migrations_required) == (2, True)
    path = "shop/1.2.0/linux-x86_64-any.tar.zst"
    assert made.release.artifacts[0].path == path
    async with server.services.store.read() as connection:
        custom = ReleaseCustom.from_json((await reads.artifact_at(connection, path)).custom)
    assert (custom.entry_point, custom.platform) == ("shop", Platform("linux", "x86_64", "any"))
    assert (custom.migrations_required, str(custom.supported_from)) == (True, "1.0.0")
    assert (custom.tar_sha256, custom.file_count) == (built.tar_sha256, 1)


async def test_its_role_lists_it_and_the_agent_s_does_not(server: Any, built: Any) -> None:
    """Each product counts its own releases."""
    await add(server)
    await publish(server, shop(built), built.path.read_bytes())
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    answer = await server.client().call(stub.ListProducts, releases_pb2.ListProductsRequest())
    assert [(one.name, one.role_version, one.releases) for one in answer.products] == [("agent", 1, 0), ("shop", 2, 1)]


async def test_of_an_unknown_product_the_remedy_says_how_to_add_it(server: Any, built: Any, refusal: Any) -> None:
    """The command stands in the remedy, with the name that was meant."""
    why = await refusal(publish(server, shop(built), built.path.read_bytes()))
    assert (why.code, why.facts["field"]) == ("NOT_FOUND", "product")
    assert "fleetroll release product add shop" in why.remedy


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no first file": ({"entry_point": ""}, "INVALID_ARGUMENT", "entry_point"),
    "a first file outside": ({"entry_point": "../shop"}, "INVALID_ARGUMENT", "entry_point"),
    "another first file": ({"entry_point": "other"}, "ENTRY_MISSING", "entry_point"),
    "nothing behind any": (
        {"platform": types_pb2.Platform(os="any", arch="x86_64", abi="cp311")},
        "INVALID_ARGUMENT",
        "platform",
    ),
    "an agent for every Python": (
        {"product": "agent", "entry_point": "", "platform": WIDE},
        "INVALID_ARGUMENT",
        "platform",
    ),
    "another first file of the agent": ({"product": "agent"}, "INVALID_ARGUMENT", "entry_point"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_can_not_be_listed_is_refused_by_name(server: Any, built: Any, refusal: Any, case: str) -> None:
    """Nothing of it is stored."""
    await add(server)
    change, code, field = REFUSED[case]
    why = await refusal(publish(server, shop(built, **change), built.path.read_bytes()))
    assert (why.code, why.facts.get("field")) == (code, field)
    assert list(server.services.folder.artefacts.iterdir()) == []
    assert list(server.services.folder.spool.iterdir()) == []


async def test_hosts_get_the_bytes_that_were_published(server: Any, built: Any, agent_metadata: Any) -> None:
    """The path with any in it is one like others."""
    await add(server)
    await publish(server, shop(built), built.path.read_bytes())
    chunks = await fetch(server, agent_metadata, "shop/1.2.0/linux-x86_64-any.tar.zst")
    assert b"".join(chunks) == built.path.read_bytes()
