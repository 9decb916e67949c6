"""Nothing that counts leaves a publisher's machine before it is wanted, and no server chooses what is signed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.retiring import retire_old
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release_manifest import ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_publishing.roles import read_repository
from fleetroll_server.catalogue import commit, reads
from tests.cli.test_carrying import ran
from tests.cli.test_real_server import command, line
from tests.cli.test_verbs import artefact, keys, ruler
from tests.faults.repositories import Repository
from tests.faults.ruling import Ruler
from tests.faults.stocks import NEW

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.worlds import World

__all__ = ["keys", "ruler"]

WHY = ("--product", "agent", "--reason", "a test")
VERBS = [
    (("promote", "--version", NEW, "--channel", "beta"), f"would move agent {NEW} from stable to beta"),
    (("yank", "--version", NEW), f"would rule agent {NEW} yanked: a test"),
    (("retire", "--version", NEW), f"would take agent {NEW} off the list"),
    (("revoke", "--version", NEW), f"would rule agent {NEW} revoked: a test"),
    (("floor", "--version", NEW), f"would set the floor of agent to {NEW}"),
    (("intermediates", "--version", NEW), f"would set the intermediates of agent to {NEW}"),
]


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What came to the server to be committed, trial runs too."""
    seen: list[Any] = []

    async def recording(services: Any, offered: Any, caller: Any) -> Any:
        seen.append(offered)
        return await commit.commit(services, offered, caller)

    monkeypatch.setattr("fleetroll_server.rpc.committing.commit", recording)
    return seen


@pytest.mark.parametrize(("words", "says"), VERBS, ids=[words[0] for words, _ in VERBS])
async def test_a_trial_run_of_a_verb_says_what_would_change_and_sends_nothing(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path, brought: list[Any], words: Any, says: str
) -> None:
    for signer in (keys, ()):
        code, out, err = await ran(world, tmp_path, *words, *WHY, *signer, "--dry-run")
        assert code == 0, err
        assert says in out.splitlines()
        assert out.splitlines()[-1] == "agent: would be role version 4; nothing was sent"
    assert brought == []
    assert (await ruler.policy()).role_version == 3


async def test_a_trial_run_of_publishing_sends_no_signed_file(
    world: World, keys: tuple[str, ...], tmp_path: Path, brought: list[Any]
) -> None:
    """Whoever has such a file may commit it when it suits them."""
    file = artefact(tmp_path, "1.0.0", "any")
    code, out, err = await ran(world, tmp_path, "publish", file, *keys, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "shop: role version 2, would be signed here"
    assert brought == []
    code, out, err = await ran(world, tmp_path, "publish", file, *keys, "--json")
    assert (code, json.loads(out)["role_versions"]) == (0, {"shop": 2}), err
    assert [offered.dry_run for offered in brought] == [False], "once, when it is meant"


async def test_keys_are_opened_before_a_byte_is_uploaded(
    world: World, keys: tuple[str, ...], tmp_path: Path, brought: list[Any]
) -> None:
    file = artefact(tmp_path, "1.0.0", "any")
    (tmp_path / "passphrase").write_text("another one, longer")
    code, _out, err = await ran(world, tmp_path, "publish", file, *keys)
    assert (code, "not opened by this passphrase" in err) == (1, True)
    assert "uploading" not in err
    assert (list(world.services.folder.staged.iterdir()), brought) == ([], [])


async def test_a_dirty_build_is_refused_before_anything_is_signed(
    world: World, keys: tuple[str, ...], tmp_path: Path, brought: list[Any]
) -> None:
    object.__setattr__(world.services, "demo", False)
    file = artefact(tmp_path, "1.0.0", "any")
    about = tmp_path / "shop-1.0.0-any.tar.zst.json"
    about.write_text(about.read_text().replace("abcdef0", "abcdef0+dirty"))
    (tmp_path / "passphrase").write_text("another one, longer")
    for more in ((), ("--dry-run",)):
        code, _out, err = await ran(world, tmp_path, "publish", file, *keys, *more)
        assert (code, "git_sha: abcdef0+dirty has changes" in err) == (1, True), err
    assert (list(world.services.folder.staged.iterdir()), brought) == ([], [])


async def test_a_trial_run_asks_a_server_that_signs_whether_it_would(world: World, tmp_path: Path) -> None:
    shop = Ruler(world.call, world.channel, "shop")
    file = artefact(tmp_path, "1.0.0", "any")
    code, _out, err = await ran(world, tmp_path, "publish", file, "--dry-run")
    assert (code, "shop" in err, "(NOT_FOUND)" in err) == (1, True, True), err
    await world.call(shop.stub.AddProduct, pb.AddProductRequest(product="shop"))
    code, out, err = await ran(world, tmp_path, "publish", file, "--dry-run")
    assert (code, out) == (0, "would publish shop 1.0.0 for any-any-any to stable\n"), err
    code, _out, err = await ran(world, tmp_path, "publish", file)
    assert code == 0, err
    code, _out, err = await ran(world, tmp_path, "publish", file, "--dry-run")
    assert (code, "(ALREADY_EXISTS)" in err) == (1, True)
    assert (await shop.policy()).role_version == 2


async def test_a_server_does_not_choose_the_digests_that_a_publisher_revokes(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown as those of a yanked release, the digests of what the fleet runs would be signed as what must not run."""
    own = (await ruler.release(NEW)).artifacts[0].sha256.hex()
    code, _out, err = await ran(world, tmp_path, "yank", "--version", NEW, *WHY, *keys)
    assert code == 0, err
    honest = reads.release

    async def lying(*args: Any) -> Any:
        found = await honest(*args)
        return replace(found, artifacts=tuple(replace(one, sha256="f" * 64) for one in found.artifacts))

    monkeypatch.setattr(reads, "release", lying)
    code, _out, err = await ran(world, tmp_path, "revoke", "--version", NEW, *WHY, *keys)
    assert code == 0, err
    assert f"revoking {own}, which was signed as agent {NEW}" in err
    assert [one.sha256.hex() for one in (await ruler.policy()).withdrawn] == [own]


async def test_a_floor_that_is_signed_here_carries_the_number_of_stranded_hosts(
    world: World, ruler: Ruler, keys: tuple[str, ...], tmp_path: Path, brought: list[Any]
) -> None:
    await world.online("host-1", "host-2")
    code, _out, err = await ran(world, tmp_path, "floor", "--version", "2.0.0", "--stranded", "2", *WHY, *keys)
    assert code == 0, err
    assert [dict(offered.stranded) for offered in brought] == [{"agent": 2}]
    assert (await ruler.policy()).floor == "2.0.0"


async def test_a_manifest_is_signed_where_the_key_is(world: World, keys: tuple[str, ...], tmp_path: Path) -> None:
    """An offline server has no key for it, and its secret is nobody's word then."""
    file = tmp_path / "manifest.json"
    made = ReleaseManifest(
        version=Version.parse("1.4.0"), sha="abcdef0", channel="beta", migrations_required=False,
        breaking_changes=None, released_at="2026-03-01T12:00:00Z",
    )  # fmt: skip
    file.write_bytes(made.signed(b"a secret of the build pipeline, long enough").dump())
    words = ("manifest", "import", str(file), "--product", "shop", "--notes", "# New", "--supported-from", ">=1.0.0")

    async def imported(*more: str) -> tuple[int | None, str, str]:
        async with line(world, tmp_path) as (_proxy, env), command(*words, *more, env=env) as process:
            out, err = await asyncio.wait_for(process.communicate(), 40)
        return process.returncode, out.decode(), err.decode()

    code, out, err = await imported(*keys)
    assert (code, out) == (0, "imported shop 1.4.0 to beta, role version 2, signed here\n"), err
    release = await Ruler(world.call, world.channel, "shop").release("1.4.0")
    assert (release.notes, list(release.channels), release.supported_from) == ("# New", ["beta"], ">=1.0.0")
    assert [one.path for one in release.artifacts] == ["shop/1.4.0/manifest.json"]
    code, _out, err = await imported(*keys)
    assert (code, "(ALREADY_EXISTS)" in err) == (1, True)
    file.write_bytes(b"{}")
    code, _out, err = await imported(*keys)
    assert (code, "Traceback" in err) == (1, False)


class Telling:
    """A client whose server says what is in use."""

    def __init__(self, *versions: str) -> None:
        self.releases = self
        self._versions = versions

    def ListInUse(self, _request: pb.ListInUseRequest, timeout: float) -> pb.ListInUseResponse:
        assert timeout > 0
        return pb.ListInUseResponse(releases=[pb.InUse(version=version) for version in self._versions])


def test_whoever_signs_is_shown_and_asked_what_is_retired(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that hides what is in use would have it taken off the list."""
    repository = Repository()
    for minor in range(1, 23):
        repository.publish(f"1.{minor}.0")
    role = read_repository(repository.files).product("agent")
    client: Any = Telling("1.1.0")
    with pytest.raises(RequestError) as caught:
        retire_old(client, "agent", role, retire=True, ask=True)
    assert (caught.value.details["field"], "--yes" in caught.value.remedy) == ("yes", True)
    assert "retires 2 releases" in capsys.readouterr().err
    verbs = retire_old(client, "agent", role, retire=True, ask=False)
    assert [str(verb.version) for verb in verbs] == ["1.0.0", "1.2.0"]
    assert "1.0.0, 1.2.0" in capsys.readouterr().err
