"""Verbs over the wire: what is checked before anything is signed, what is stored, what an offline server says."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import sqlalchemy as sa

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import releases_pb2_grpc
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.product_policy import ProductPolicy
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_common.wire.channel import ADMIN_OPTIONS
from fleetroll_publishing.policies import policy_bytes
from fleetroll_server.catalogue import staging
from fleetroll_server.store.tables import EventRow, MetaRow, table_of
from tests.faults.ruling import WHY, Ruler, channels, floor, intermediates, retire, revoke, yank
from tests.faults.uploads import header, publish
from tests.server.rpc.test_products import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVENT = table_of(EventRow)
META = table_of(MetaRow)


@pytest.fixture
async def ruler(server: Any, artefact: Callable[..., Any]) -> Ruler:
    """A server with two releases."""
    for version in ("1.0.0", "1.1.0"):
        built = artefact(version, filler=1000)
        await publish(server, header(built), built.path.read_bytes())
    return Ruler(server.client().call, server.channel)


async def state(server: Any) -> tuple[Any, ...]:
    """What must stay as it is when something is refused."""
    served = Served(server)
    await served.renew()
    return (served.files["timestamp.json"], server.services.catalogue.timestamp_version)


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (yank, pb.RELEASE_STATE_YANKED),
        (retire, pb.RELEASE_STATE_RETIRED),
        (revoke, pb.RELEASE_STATE_REVOKED),
    ],
)
async def test_a_withdrawn_release_is_shown_with_its_reason_and_stays_in_the_table(
    server: Any, ruler: Ruler, verb: Any, said: Any, artefact: Callable[..., Any], refusal: Any
) -> None:
    before = await ruler.release("1.0.0")
    changed = await ruler.change(verb("1.0.0"))
    assert changed.role_version == 4
    after = await ruler.release("1.0.0")
    assert (after.state, after.state_reason, list(after.artifacts)) == (said, WHY, list(before.artifacts))
    assert (await ruler.release("1.1.0")).state == pb.RELEASE_STATE_LISTED
    policy = await ruler.policy()
    assert [(one.version, one.state, one.reason) for one in policy.withdrawn] == [("1.0.0", said, WHY)]
    assert policy.serial == 1
    built = artefact("1.0.0", filler=1000, folder="again")
    why = await refusal(publish(server, header(built), built.path.read_bytes()))
    assert (why.code, WHY in why.message) == ("CONFLICT", True)
    async with server.services.store.read() as connection:
        kinds = [row.kind for row in await connection.execute(sa.select(EVENT.c.kind).where(EVENT.c.fleet_id == ""))]
    name = pb.ReleaseState.Name(said).removeprefix("RELEASE_STATE_").lower()
    assert {f"release.{name}", "product.policy", "releases.changed"} <= set(kinds)


async def test_a_change_drawn_from_an_older_list_is_refused(server: Any, ruler: Ruler, refusal: Any) -> None:
    before = await state(server)
    for version in (2, 4):
        why = await refusal(ruler.change(yank("1.0.0"), role_version=version))
        assert (why.code, why.facts["field"], why.facts["current"]) == ("CONFLICT", "role_version", "3")
    assert await state(server) == before


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ([], "INVALID_ARGUMENT", "changes"),
        ([pb.ReleaseChange()], "INVALID_ARGUMENT", "changes"),
        ([yank("1.0.0")] * 101, "INVALID_ARGUMENT", "changes"),
        ([yank("9.9.9")], "NOT_FOUND", "version"),
        ([yank("nine")], "INVALID_ARGUMENT", "version"),
        ([yank("1.0.0"), yank("1.0.0")], "ALREADY_EXISTS", "version"),
        ([pb.ReleaseChange(yank=pb.Withdraw(version="1.0.0"))], "INVALID_ARGUMENT", "reason"),
        ([pb.ReleaseChange(yank=pb.Withdraw(version="1.0.0", reason="x" * 4097))], "INVALID_ARGUMENT", "reason"),
        (
            [pb.ReleaseChange(yank=pb.Withdraw(version="1.0.0", reason="a\x00b"))],
            "INVALID_ARGUMENT",
            "changes.yank.reason",
        ),
        ([channels("1.0.0")], "INVALID_ARGUMENT", "channels"),
        ([channels("1.0.0", "No")], "INVALID_ARGUMENT", "channels"),
        ([channels("1.0.0", "stable")], "ALREADY_EXISTS", "changes"),
        ([floor("1.0.0", -1)], "INVALID_ARGUMENT", "stranded"),
        ([floor("1.0.0", 1)], "CONFLICT", "stranded"),
        ([intermediates("9.0.0")], "NOT_FOUND", "version"),
        ([intermediates(*["1.0.0"] * 1001)], "INVALID_ARGUMENT", "versions"),
    ],
)
async def test_what_can_not_be_is_refused_by_field_and_changes_nothing(
    server: Any, ruler: Ruler, refusal: Any, changes: Any, code: str, field: str
) -> None:
    before = await state(server)
    why = await refusal(ruler.change(*changes))
    assert (why.code, why.facts["field"]) == (code, field)
    assert await state(server) == before
    assert (await ruler.policy()).serial == 0


async def test_of_several_verbs_all_are_applied_or_none(server: Any, ruler: Ruler, refusal: Any) -> None:
    before = await state(server)
    await refusal(ruler.change(channels("1.0.0", "beta"), yank("1.1.0"), yank("7.0.0")))
    assert (await state(server), (await ruler.release("1.1.0")).state) == (before, pb.RELEASE_STATE_LISTED)
    changed = await ruler.change(channels("1.0.0", "beta"), yank("1.1.0"))
    assert sorted(one.version for one in changed.releases) == ["1.0.0", "1.1.0"]
    assert (await ruler.policy()).role_version == changed.role_version == 4


async def test_a_yanked_release_is_revoked_with_the_digests_that_the_table_has(ruler: Ruler) -> None:
    digest = (await ruler.release("1.0.0")).artifacts[0].sha256
    await ruler.change(yank("1.0.0"))
    await ruler.change(revoke("1.0.0"))
    (withdrawn,) = (await ruler.policy()).withdrawn
    assert (withdrawn.state, withdrawn.sha256) == (pb.RELEASE_STATE_REVOKED, digest)
    assert (await ruler.release("1.0.0")).state == pb.RELEASE_STATE_REVOKED


async def test_the_policys_file_is_served_as_it_is_signed(server: Any, ruler: Ruler, refusal: Any) -> None:
    request = pb.GetRepositoryFileRequest(name="targets/agent/policy/policy.json")

    async def fetch() -> bytes:
        call = ruler.stub.GetRepositoryFile(request, metadata=server.client().metadata, timeout=20)
        return b"".join([answer.chunk async for answer in call])

    assert (await refusal(fetch())).code == "NOT_FOUND"
    await ruler.change(yank("1.0.0"))
    data = await fetch()
    served = Served(server)
    await served.renew()
    target = json.loads(served.files["4.products%2Fagent.json"])["signed"]["targets"]["agent/policy/policy.json"]
    assert (target["length"], target["hashes"]["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert policy_bytes(ProductPolicy.from_json(target["custom"])) == data


async def test_notes_are_replaced_without_a_signature(server: Any, ruler: Ruler, refusal: Any) -> None:
    before = await state(server)

    async def note(version: str, notes: str) -> Any:
        request = pb.SetReleaseNotesRequest(product="agent", version=version, notes=notes)
        return await server.client().call(ruler.stub.SetReleaseNotes, request)

    assert (await note("1.0.0", "# Mind\nthe gap")).release.notes == "# Mind\nthe gap"
    assert (await refusal(note("9.0.0", "x"))).code == "NOT_FOUND"
    assert (await refusal(note("1.0.0", "x" * 20_001))).facts["field"] == "notes"
    assert (await ruler.release("1.0.0")).notes == "# Mind\nthe gap"
    assert await state(server) == before


async def test_an_unknown_product_is_the_callers_fault(server: Any, ruler: Ruler, refusal: Any) -> None:
    other = Ruler(server.client().call, server.channel, "shop")
    calls = (other.policy(), other.in_use(), other.preview("1.0.0"), other.change(yank("1.0.0"), role_version=1))
    for call in calls:
        why = await refusal(call)
        assert (why.code, why.facts["field"]) == ("NOT_FOUND", "product")


# Bytes that wait for a commit.


async def stage(server: Any, data: bytes, **said: Any) -> pb.StageTargetResponse:
    """Upload with a synchronous client, as users do."""
    values = {"sha256": hashlib.sha256(data).digest(), "length": len(data)} | said

    def messages() -> Iterator[pb.StageTargetRequest]:
        yield pb.StageTargetRequest(header=pb.StageTargetHeader(**values))
        for start in range(0, len(data), 1000):
            yield pb.StageTargetRequest(chunk=data[start : start + 1000])

    def call() -> Any:
        credentials = grpc.ssl_channel_credentials(server.services.ca_pem)
        with grpc.secure_channel(server.running.address, credentials, options=ADMIN_OPTIONS) as channel:
            stub = releases_pb2_grpc.ReleasesServiceStub(channel)
            return stub.StageTarget(messages(), metadata=server.client().metadata, timeout=30)

    answer: pb.StageTargetResponse = await asyncio.to_thread(call)
    return answer


async def test_staged_bytes_lie_under_their_hash_and_are_listed_by_nothing(server: Any, ruler: Ruler) -> None:
    data = b"bytes" * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    assert not (await stage(server, data)).was_there
    assert (await stage(server, data)).was_there
    folder = server.services.folder
    assert (folder.staged / sha256).read_bytes() == data
    assert not (folder.artefacts / sha256).exists()
    assert list(folder.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"length": 4999}, "INVALID_ARGUMENT"),
        ({"length": 5001}, "INVALID_ARGUMENT"),
        ({"length": 0}, "INVALID_ARGUMENT"),
        ({"sha256": b"short"}, "INVALID_ARGUMENT"),
        ({"sha256": bytes(32)}, "WRONG_HASH"),
    ],
)
async def test_other_bytes_than_were_said_are_not_staged(server: Any, refusal: Any, said: Any, code: str) -> None:
    assert (await refusal(stage(server, b"bytes" * 1000, **said))).code == code
    folder = server.services.folder
    assert [*folder.staged.iterdir(), *folder.spool.iterdir()] == []


async def test_what_no_commit_took_over_in_a_day_is_deleted(server: Any) -> None:
    await stage(server, b"old")
    server.clock.advance(timedelta(days=1, minutes=1).total_seconds())
    await stage(server, b"new")
    # A file's time is the machine's own: what came now is as old for this server's clock.
    assert [path.name for path in server.services.folder.staged.iterdir()] == [hashlib.sha256(b"new").hexdigest()]


async def test_a_commit_takes_over_what_it_lists_and_gives_back_what_it_did_not(server: Any) -> None:
    await stage(server, b"data")
    sha256, folder = hashlib.sha256(b"data").hexdigest(), server.services.folder
    missing = staging.taken_over(server.services, {sha256: 4, "0" * 64: 4})
    with pytest.raises(RequestError, match="not staged"):
        await missing.__aenter__()
    assert (folder.staged / sha256).exists()

    async def fail() -> None:
        async with staging.taken_over(server.services, {sha256: 4}):
            assert (folder.artefacts / sha256).read_bytes() == b"data"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (folder.staged / sha256).exists()
    assert not (folder.artefacts / sha256).exists()
    async with staging.taken_over(server.services, {sha256: 4}):
        pass
    assert (folder.artefacts / sha256).exists()


# A repository whose keys lie elsewhere.


@pytest.fixture
async def offline(server: Any, ruler: Ruler) -> None:
    """The server holds the online keys alone."""
    await server.client().call(ruler.stub.AddProduct, pb.AddProductRequest(product="shop"))
    held = [f"signing_key/{role}" for role in ("targets", "products/agent", "products/shop")]
    gone = sa.delete(META).where(META.c.key.in_(held))
    await server.services.store.writer.command(lambda tx: tx.execute(gone))


@pytest.mark.usefixtures("offline")
async def test_an_offline_repository_names_the_way_to_sign(
    server: Any, ruler: Ruler, refusal: Any, artefact: Callable[..., Any]
) -> None:
    """Publishing, importing, verbs and new products: refused with the remedy, and nothing is stored."""
    before = await state(server)
    built = artefact("1.2.0", filler=1000)
    manifest = ReleaseManifest(
        version=Version(1, 0, 0), sha="abcdef0", channel="stable", migrations_required=False, breaking_changes=None,
        released_at="2026-01-01T00:00:00Z",
    ).signed(b"s" * 32)  # fmt: skip
    imported = pb.ImportManifestRequest(product="shop", manifest=manifest.dump())
    call = server.client().call
    calls = {
        "--keys-dir": [
            publish(server, header(built), built.path.read_bytes()),
            ruler.change(yank("1.0.0")),
            call(ruler.stub.ImportManifest, imported),
        ],
        "fleetroll keys": [call(ruler.stub.AddProduct, pb.AddProductRequest(product="site"))],
    }
    for remedy, refusals in calls.items():
        for refused in refusals:
            why = await refusal(refused)
            assert (why.code, remedy in why.remedy) == ("NOT_ALLOWED", True), why
    assert await state(server) == before
    assert (await ruler.release("1.0.0")).state == pb.RELEASE_STATE_LISTED
