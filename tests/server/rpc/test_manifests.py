"""Importing release manifests: the pipeline's word, verified, becomes a signed release whose target is the manifest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from fleetroll.v1 import releases_pb2, releases_pb2_grpc, types_pb2
from fleetroll_common.trust.client import TrustClient
from fleetroll_common.trust.source import MetadataAbsent
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.manifest_custom import ManifestCustom, describe
from fleetroll_common.values.release import manifest_path
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact import build_product_artefact
from fleetroll_server.catalogue.metadata import current_files
from tests.faults.uploads import fetch, header, publish

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"a secret of the pipeline"
PATH = "shop/1.4.0/manifest.json"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASE_SIGNING_SECRET", SECRET.decode())


def manifest(secret: bytes = SECRET, version: str = "1.4.0", sha: str = "0123456") -> bytes:
    """A manifest as another program writes it: in a form of its own."""
    made = ReleaseManifest(
        Version.parse(version), sha, "beta", migrations_required=True, breaking_changes="all",
        released_at="2026-05-01T12:00:00Z",
    )  # fmt: skip
    return json.dumps(json.loads(made.signed(secret).dump()), indent=2).encode()


async def add(server: Any, product: str = "shop") -> None:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    await server.client().call(stub.AddProduct, releases_pb2.AddProductRequest(product=product))


async def bring(server: Any, data: bytes, product: str = "shop", **values: Any) -> Any:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    request = releases_pb2.ImportManifestRequest(product=product, manifest=data, **values)
    return await server.client().call(stub.ImportManifest, request)


async def nothing_is_stored(server: Any) -> None:
    stub = releases_pb2_grpc.ReleasesServiceStub(server.channel)
    answer = await server.client().call(stub.ListReleases, releases_pb2.ListReleasesRequest(product="shop"))
    assert not answer.releases
    assert list(server.services.folder.artefacts.iterdir()) == []
    assert list(server.services.folder.spool.iterdir()) == []


async def test_a_manifest_becomes_a_release_of_its_product(server: Any) -> None:
    """With what the manifest says, for every platform, published by who imported it."""
    await add(server)
    data = manifest()
    made = await bring(server, data, notes="# New\n", supported_from=">=1.0.0")
    assert made.role_version == 2
    release = made.release
    assert (release.product, release.version, list(release.channels)) == ("shop", "1.4.0", ["beta"])
    assert (release.git_sha, release.migrations_required, release.breaking_changes) == ("0123456", True, "all")
    assert (release.notes, release.supported_from) == ("# New\n", ">=1.0.0")
    (target,) = release.artifacts
    assert (target.path, target.sha256, target.length) == (PATH, hashlib.sha256(data).digest(), len(data))
    assert target.platform == types_pb2.Platform(os="any", arch="any", abi="any")
    assert target.manifest_sha256 == b""
    assert release.published.actor.kind


async def test_hosts_get_the_very_bytes_and_trust_them_by_the_product_s_key(
    server: Any, agent_metadata: Any, tmp_path: Path
) -> None:
    """The path is computed from product and version; the description says which kind of file it is."""
    await add(server)
    data = manifest()
    await bring(server, data)
    assert b"".join(await fetch(server, agent_metadata, PATH)) == data
    async with server.services.store.read() as connection:
        files = await current_files(connection)

    class Source:
        def fetch(self, name: str, max_bytes: int) -> bytes:
            if name not in files:
                raise MetadataAbsent(name)
            return files[name][:max_bytes]

    folder = tmp_path / "trust"
    folder.mkdir()
    client = TrustClient(folder, files["1.root.json"], Source(), SystemClock(), server.clock.now() - timedelta(1))
    target = await asyncio.to_thread(client.target, manifest_path("shop", Version.parse("1.4.0")))
    assert (target.sha256, target.length) == (hashlib.sha256(data).hexdigest(), len(data))
    custom = describe(target.custom)
    assert isinstance(custom, ManifestCustom)
    assert (custom.git_sha, custom.migrations_required, custom.channels) == ("0123456", True, ("beta",))


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "another secret": (manifest(b"guessed"), "BAD_SIGNATURE", "signature"),
    "changed after signing": (manifest().replace(b"0123456", b"6543210"), "BAD_SIGNATURE", "signature"),
    "a field missing": (manifest().replace(b'"channel"', b'"chanel"'), "INVALID_ARGUMENT", "chanel"),
    "a field too many": (manifest().replace(b"{", b'{"run": "rm -rf /",', 1), "INVALID_ARGUMENT", "run"),
    "no JSON": (b"version=1.4.0", "INVALID_ARGUMENT", "manifest"),
    "nothing": (b"", "INVALID_ARGUMENT", "manifest"),
    "a development build": (manifest(version="0.0.0+dev"), "INVALID_ARGUMENT", "version"),
    "a build": (manifest(version="1.4.0+g12"), "INVALID_ARGUMENT", "version"),
    "too long": (manifest() + b" " * 64 * 1024, "INVALID_ARGUMENT", "manifest"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_can_not_be_trusted_or_read_stores_nothing(server: Any, refusal: Any, case: str) -> None:
    """Each is refused by the field at fault."""
    await add(server)
    data, code, field = REFUSED[case]
    why = await refusal(bring(server, data))
    assert (why.status, why.code) == (grpc.StatusCode.INVALID_ARGUMENT, code)
    assert why.facts["field"] == field
    await nothing_is_stored(server)


async def test_of_an_unknown_product_the_remedy_says_how_to_add_it(server: Any, refusal: Any) -> None:
    """The agent's releases are artefacts: of it no manifest is taken."""
    why = await refusal(bring(server, manifest()))
    assert (why.code, why.facts["field"]) == ("NOT_FOUND", "product")
    assert "fleetroll release product add shop" in why.remedy
    assert (await refusal(bring(server, manifest(), "agent"))).code == "INVALID_ARGUMENT"
    await nothing_is_stored(server)


async def test_a_server_without_a_secret_says_where_it_goes(
    server: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is believed in its place."""
    await add(server)
    for words in (None, ""):
        if words is None:
            monkeypatch.delenv("RELEASE_SIGNING_SECRET")
        else:
            monkeypatch.setenv("RELEASE_SIGNING_SECRET", words)
        why = await refusal(bring(server, manifest(b"x")))
        assert (why.code, why.facts["field"]) == ("NOT_ALLOWED", "secret")
        assert "manifest_secret_file" in why.remedy
    await nothing_is_stored(server)


async def test_the_file_of_the_settings_counts_more_than_the_environment(
    installed: Any, launch: Any, refusal: Any, tmp_path: Path
) -> None:
    """What it holds anew counts at once."""
    file = tmp_path / "secret"
    file.write_bytes(b"of the file\n")
    async with launch(installed, manifest_secret_file=file) as server:
        await add(server)
        assert (await refusal(bring(server, manifest()))).code == "BAD_SIGNATURE"
        assert (await bring(server, manifest(b"of the file"))).role_version == 2
        file.write_bytes(b"a new one")
        assert (await bring(server, manifest(b"a new one", "1.5.0"))).role_version == 3
        file.unlink()
        assert (await refusal(bring(server, manifest(version="1.6.0")))).code == "NOT_ALLOWED"


async def test_a_version_keeps_its_manifest(server: Any, refusal: Any) -> None:
    """The same bytes again are nothing new; others are refused, signed or not."""
    await add(server)
    await bring(server, manifest())
    again = await refusal(bring(server, manifest()))
    assert (again.status, again.remedy) == (grpc.StatusCode.ALREADY_EXISTS, "nothing is left to do")
    other = await refusal(bring(server, manifest(sha="fffffff")))
    assert other.code == "ALREADY_EXISTS"
    assert "other bytes" in other.message
    assert len(list(server.services.folder.artefacts.iterdir())) == 1


async def test_of_two_imports_at_once_one_is_listed(server: Any) -> None:
    """Two different manifests of one version: the second finds the path taken."""
    await add(server)
    both = [bring(server, manifest()), bring(server, manifest(sha="fffffff"))]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["AioRpcError", "ImportManifestResponse"]
    assert len(list(server.services.folder.artefacts.iterdir())) == 1


async def test_a_version_is_of_one_kind(server: Any, refusal: Any, tmp_path: Path) -> None:
    """Hosts would not know whether to run commands or to unpack."""
    await add(server)
    await bring(server, manifest())
    source = tmp_path / "run"
    source.write_bytes(b"x")
    everywhere = types_pb2.Platform(os="any", arch="any", abi="any")
    values: dict[str, Any] = {"product": "shop", "entry_point": "run", "git_sha": "0123456", "platform": everywhere}
    built = build_product_artefact(source, tmp_path / "out", level=1)
    data = built.path.read_bytes()
    why = await refusal(publish(server, header(built, version="1.4.0", **values), data))
    assert (why.code, why.facts["field"]) == ("CONFLICT", "version")
    await publish(server, header(built, version="1.5.0", **values), data)
    assert (await refusal(bring(server, manifest(version="1.5.0")))).code == "CONFLICT"
