"""Verbs and publishing by the command line against a real server: it signs, or whoever has the key does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.keyring import Keyring
from fleetroll_cli.keys.ring import Passphrases
from fleetroll_cli.signing import Desk
from fleetroll_client import AdminClient, Endpoint
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact.build import build_artefact
from fleetroll_publishing.keys import Cost, Passphrase, PrivateKey, save_key
from fleetroll_publishing.publisher import RECORD_NAME
from fleetroll_publishing.verbs import SetChannels, Yank
from fleetroll_server.catalogue.metadata import one_file
from fleetroll_server.store.tables import MetaRow, table_of
from tests.cli.test_carrying import ran
from tests.faults.ruling import Ruler
from tests.faults.stocks import NEW, NEWER, OLD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Commands
    from tests.faults.worlds import World

META = table_of(MetaRow)
SECRET = "correct horse battery"


@pytest.fixture
def ruler(world: World) -> Ruler:
    return Ruler(world.call, world.channel)


@pytest.fixture
async def keys(world: World, tmp_path: Path) -> tuple[str, ...]:
    """The keys of products and targets lie with a publisher; the server holds the online ones alone."""
    for product in ("shop", "site"):
        await world.call(Ruler(world.call, world.channel).stub.AddProduct, pb.AddProductRequest(product=product))
    folder = tmp_path / "keys"
    folder.mkdir()
    (tmp_path / "passphrase").write_text(SECRET + "\n")
    async with world.services.store.read() as connection:
        rows = await connection.execute(
            sa.select(META.c.key, META.c.value).where(META.c.key.startswith("signing_key/"))
        )
        held = {row.key.removeprefix("signing_key/"): world.services.secrets.open(row.value) for row in rows}
        (folder / "1.root.json").write_bytes(await one_file(connection, "1.root.json"))  # as the ceremony leaves it
    offline = [role for role in held if role not in {"snapshot", "timestamp"}]
    for role in offline:
        cheap = Passphrase(SECRET, Cost(1, 8192))
        save_key(folder / f"{role.replace('/', '-')}.key", PrivateKey(held[role]), role, cheap)
    gone = sa.delete(META).where(META.c.key.in_([f"signing_key/{role}" for role in offline]))
    await world.services.store.writer.command(lambda tx: tx.execute(gone))
    return ("--keys-dir", str(folder), "--passphrase-file", str(tmp_path / "passphrase"))


def artefact(folder: Path, version: str, platform: str, product: str = "shop") -> str:
    """Build a small artefact with its description, as `release build` does."""
    tree = folder / f"{product}-{version}-{platform.replace('/', '-')}"
    tree.mkdir()
    (tree / "entry.py").write_text(f"print({version!r}, {platform!r})\n")
    built = build_artefact(tree, folder / f"{tree.name}.tar.zst", entry_point="entry.py", level=1).path
    about = {
        "product": product,
        "version": version,
        "platform": platform,
        "git_sha": "abcdef0",
        "entry_point": "entry.py",
    }
    built.with_name(built.name + ".json").write_text(json.dumps(about))
    return str(built)


VERBS = [
    (("yank",), pb.RELEASE_STATE_YANKED),
    (("retire",), pb.RELEASE_STATE_RETIRED),
    (("revoke",), pb.RELEASE_STATE_REVOKED),
]


@pytest.mark.parametrize(("verb", "state"), VERBS)
async def test_a_managed_server_signs_a_verb(
    world: World, ruler: Ruler, tmp_path: Path, verb: tuple[str], state: Any
) -> None:
    words = (*verb, "--product", "agent", "--version", NEW, "--reason", "it eats the disk")
    code, out, err = await ran(world, tmp_path, *words)
    assert (code, err) == (0, "")
    name = pb.ReleaseState.Name(state).removeprefix("RELEASE_STATE_").lower()
    assert out.splitlines()[1].split()[:3] == ["agent", NEW, name]
    assert out.splitlines()[-1] == "agent: role version 4, signed by the server"
    assert (await ruler.release(NEW)).state == state
    code, out, err = await ran(world, tmp_path, "list", "--product", "agent")
    assert [line.split()[1:3] for line in out.splitlines()[1:]] == [[NEWER, "listed"], [NEW, name]]
    code, out, err = await ran(world, tmp_path, "show", "--product", "agent", "--version", NEW)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"agent {NEW}  {name}"
    assert "it eats the disk" in out
    code, out, err = await ran(world, tmp_path, *words)
    assert (code, out) == (1, "")
    assert "Traceback" not in err


@pytest.mark.parametrize(("verb", "state"), VERBS)
async def test_a_publisher_signs_a_verb_where_the_key_is(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path, verb: tuple[str], state: Any
) -> None:
    words = (*verb, "--product", "agent", "--version", NEW, "--reason", "it eats the disk")
    code, out, err = await ran(world, tmp_path, *words)
    assert (code, out) == (1, "")
    assert "(NOT_ALLOWED)" in err
    assert "--keys-dir" in err
    code, out, err = await ran(world, tmp_path, *words, *keys)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "agent: role version 4, signed here"
    found = await ruler.release(NEW)
    assert (found.state, found.state_reason) == (state, "it eats the disk")
    assert (tmp_path / "keys" / RECORD_NAME).exists()


async def test_promotion_floor_and_intermediates_are_signed_here(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path
) -> None:
    common = ("--product", "agent", "--reason", "a test", *keys)
    code, _out, err = await ran(world, tmp_path, "promote", "--version", NEW, "--channel", "beta", *common)
    assert (code, err) == (0, "")
    assert list((await ruler.release(NEW)).channels) == ["beta"]
    code, _out, err = await ran(world, tmp_path, "intermediates", "--version", NEW, *common)
    assert (code, err) == (0, "")
    code, _out, err = await ran(world, tmp_path, "floor", "--version", NEWER, *common)
    assert code == 0, err
    assert "0 hosts of agent are below it, 0 of them have no way up" in err
    policy = await ruler.policy()
    assert (policy.floor, list(policy.intermediates), policy.serial) == (NEWER, [NEW], 2)
    code, _out, err = await ran(world, tmp_path, "floor", "--version", NEW, *common)
    assert f"the floor falls from {NEWER} to {NEW}" in err
    code, _out, err = await ran(world, tmp_path, "floor", "--none", *common)
    assert code == 0
    assert (await ruler.policy()).floor == ""


async def test_a_floor_is_set_only_by_whoever_names_the_stranded(world: World, ruler: Ruler, tmp_path: Path) -> None:
    await world.online("host-1", "host-2")
    words = ("floor", "--product", "agent", "--version", "2.0.0", "--reason", "CVE")
    code, out, err = await ran(world, tmp_path, *words)
    assert (code, out) == (1, "")
    assert "2 of them have no way up" in err
    assert f"  host-1 at {OLD}: nothing at or above 2.0.0" in err
    assert "--stranded 2" in err
    code, out, err = await ran(world, tmp_path, *words, "--stranded", "1")
    assert (code, out) == (1, "")
    assert (await ruler.policy()).floor == ""
    code, out, err = await ran(world, tmp_path, *words, "--stranded", "2")
    assert code == 0, err
    assert (await ruler.policy()).floor == "2.0.0"


async def test_several_artefacts_of_several_products_are_signed_and_listed_in_one_step(
    world: World, keys: tuple[str, ...], tmp_path: Path
) -> None:
    files = [artefact(tmp_path, "1.0.0", platform) for platform in ("linux/x86_64", "linux/arm64")]
    files.append(artefact(tmp_path, "3.0.0", "any", "site"))
    shop = Ruler(world.call, world.channel, "shop")
    words = ("publish", *files, "--channel", "beta", "--notes", "# New", *keys)
    before = world.services.catalogue.timestamp_version
    code, out, err = await ran(world, tmp_path, *words, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "would publish shop 1.0.0 for linux-x86_64-any to beta"
    assert world.services.catalogue.timestamp_version == before
    assert list(world.services.folder.staged.iterdir()) == []
    code, out, err = await ran(world, tmp_path, *words)
    assert code == 0, err
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["uploading", f"shop/1.0.0/linux-{arch}-any.tar.zst,"] for arch in ("x86_64", "arm64")
    ] + [["uploading", "site/3.0.0/any-any-any.tar.zst,"]]
    assert out.splitlines()[-2:] == ["shop: role version 2, signed here", "site: role version 2, signed here"]
    assert world.services.catalogue.timestamp_version == before + 1, "one step"
    release = await shop.release("1.0.0")
    assert (release.notes, list(release.channels), len(release.artifacts)) == ("# New", ["beta"], 2)
    assert list(world.services.folder.staged.iterdir()) == []
    folder = tmp_path / "mirror"
    code, _out, err = await ran(world, tmp_path, "mirror", str(folder))
    assert code == 0, err
    assert (folder / "targets" / "shop" / "1.0.0" / "linux-arm64-any.tar.zst").is_file()
    code, out, err = await ran(world, tmp_path, *words)
    assert (code, "(ALREADY_EXISTS)" in err) == (1, True)


async def test_what_was_described_otherwise_than_it_is_is_not_signed(
    world: World, keys: tuple[str, ...], tmp_path: Path
) -> None:
    """What is signed is computed from the bytes: another file under the name has another description."""
    file = artefact(tmp_path, "1.0.0", "any")
    (tmp_path / "shop-1.0.0-any.tar.zst").write_bytes(b"no artefact")
    code, out, err = await ran(world, tmp_path, "publish", file, *keys)
    assert (code, out) == (1, "")
    assert "can't be used" in err
    assert not (tmp_path / "keys" / RECORD_NAME).exists() or list(world.services.folder.staged.iterdir()) == []


async def test_a_managed_server_signs_several_artefacts_one_by_one(world: World, tmp_path: Path) -> None:
    shop = Ruler(world.call, world.channel, "shop")
    await world.call(shop.stub.AddProduct, pb.AddProductRequest(product="shop"))
    files = [artefact(tmp_path, "1.0.0", platform) for platform in ("linux/x86_64", "linux/arm64")]
    code, out, _err = await ran(world, tmp_path, "publish", *files, "--dry-run", "--json")
    assert (code, json.loads(out)["dry_run"]) == (0, True)
    assert (await shop.policy()).role_version == 1
    code, out, err = await ran(world, tmp_path, "publish", *files)
    assert code == 0, err
    assert out.splitlines()[-1] == "published shop 1.0.0 to stable, role version 3"
    assert len((await shop.release("1.0.0")).artifacts) == 2


async def test_the_second_of_two_publishers_is_told_to_take_the_newest(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(world.services.ca_pem)
    endpoint = Endpoint(world.server.address, world.services.ca_pem, world.stock.token)
    opened = Passphrases.of([str(tmp_path / "passphrase")])
    ring = Keyring((tmp_path / "keys" / "products-agent.key",), (tmp_path / "keys",), opened)

    def race() -> RequestError:
        with AdminClient(endpoint) as client:
            first, second = Desk(client, ring), Desk(client, ring)
            first.commit(first.prepare({"agent": [Yank(Version.parse(NEW), "bad")]}))
            with pytest.raises(RequestError) as caught:
                second.commit(second.prepare({"agent": [SetChannels(Version.parse(NEWER), ("beta",))]}))
            third = Desk(client, ring)
            third.commit(third.prepare({"agent": [SetChannels(Version.parse(NEWER), ("beta",))]}))
            return caught.value

    error = await asyncio.to_thread(race)
    assert error.code is Code.CONFLICT
    assert "again" in error.remedy
    policy = await ruler.policy()
    assert (policy.role_version, [one.version for one in policy.withdrawn]) == (5, [NEW])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("yank", "--product", "agent", "--version", "1.0.0"), "--reason"),
        (("yank", "--product", "agent", "--version", "1.0.0", "--reason", " "), "reason: it is empty"),
        (("yank", "--product", "agent", "--version", "x", "--reason", "y"), "version: 'x' is not"),
        (("floor", "--product", "agent", "--reason", "y"), "version: name the lowest version, or --none"),
        (("floor", "--product", "agent", "--reason", "y", "--none", "--version", "1.0.0"), "or --none"),
        (("intermediates", "--product", "agent", "--reason", "y"), "version: name the versions, or --none"),
        (("notes", "--product", "agent", "--version", "1.0.0"), "name either --text or --file"),
        (("retire", "--product", "a", "--version", "1.0.0", "--reason", "y", "--keys-dir", "nowhere"), "no key file"),
        (
            ("retire", "--product", "a", "--version", "1.0.0", "--reason", "y", "--passphrase-file", "x"),
            "no key is named",
        ),
    ],
)
def test_what_is_not_said_is_asked_for_before_anybody_is(commands: Commands, words: tuple[str, ...], says: str) -> None:
    ended = commands.run("release", *words)
    assert ended.code in {1, 2}
    assert says in ended.err
    assert commands.asked == []


async def test_a_key_of_another_product_signs_nothing(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("yank", "--product", "agent", "--version", NEW, "--reason", "x")
    key = ("--key", str(tmp_path / "keys" / "products-shop.key"), *keys[2:])
    code, out, err = await ran(world, tmp_path, *words, *key)
    assert (code, out) == (1, "")
    assert "0 of the keys of products/agent are here, 1 are needed (NOT_ALLOWED)" in err
    (tmp_path / "passphrase").write_text("another one, longer")
    code, out, err = await ran(world, tmp_path, *words, *keys)
    assert (code, "not opened by this passphrase" in err) == (1, True)
    assert (await ruler.policy()).serial == 0


def _release(version: str, state: Any = pb.RELEASE_STATE_LISTED) -> pb.Release:
    return pb.Release(product="shop", version=version, state=state)


def test_old_releases_are_proposed_and_retired_where_that_is_asked_for(commands: Commands, tmp_path: Path) -> None:
    file = artefact(tmp_path, "2.0.0", "any")
    listed = [_release(f"1.{minor}.0") for minor in range(25)] + [_release("0.1.0", pb.RELEASE_STATE_YANKED)]
    commands.answers = {
        "PublishRelease": pb.PublishReleaseResponse(release=_release("2.0.0"), role_version=9),
        "ListReleases": pb.ListReleasesResponse(releases=listed),
        "ListInUse": pb.ListInUseResponse(releases=[pb.InUse(version="1.1.0", running=1)]),
        "GetProductPolicy": pb.GetProductPolicyResponse(role_version=9),
        "ChangeReleases": pb.ChangeReleasesResponse(role_version=10),
    }
    ended = commands.run("release", "publish", file)
    assert ended.code == 0
    assert (
        "shop: 4 releases beyond the newest 20, and not in use: 1.0.0, 1.2.0, 1.3.0, 1.4.0; --retire-old" in ended.err
    )
    assert commands.requests("ChangeReleases") == []
    ended = commands.run("release", "publish", file, "--retire-old")
    assert ended.code == 0
    (request,) = commands.requests("ChangeReleases")
    assert [change.retire.version for change in request.changes] == ["1.0.0", "1.2.0", "1.3.0", "1.4.0"]
    assert request.role_version == 9


async def test_a_root_that_nothing_pins_here_is_believed_aloud(
    world: World, keys: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "keys" / "1.root.json").unlink()
    for words in ("the server's first root is believed, SHA-256 ", ""):
        file = artefact(tmp_path, "1.1.0" if words else "1.2.0", "linux/x86_64")
        code, _, err = await ran(world, tmp_path, "publish", file, *keys)
        assert code == 0
        assert (words in err, "is believed" in err) == (True, bool(words)), "once: it is remembered"
