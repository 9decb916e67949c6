"""What a thief's server gets from somebody who signs with keys of root and targets: nothing that nobody agreed to."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import typer

from fleetroll.v1 import anchors_pb2
from fleetroll_cli.keys import anchoring, ceremony, rotating
from fleetroll_cli.keys.desk import Desk, Order
from fleetroll_cli.keys.holding import Ring
from fleetroll_cli.keys.ring import Passphrases
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, RequestError, TrustError
from fleetroll_publishing.commit_gate import follow_roots
from fleetroll_publishing.publisher import RECORD_NAME, Publisher
from fleetroll_server.certificates import fingerprint, make_ca
from tests.cli.hostile_keys import Hostile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EVERY = ("targets", "products/agent", "products/shop")
YES = Order(yes=True)


class Owner:
    """Whoever has the keys of a repository with two products, in one folder."""

    def __init__(self, folder: Path, thresholds: Mapping[str, tuple[int, int]] | None = None) -> None:
        self.keys = folder / "keys"
        words = folder / "words"
        words.write_text("long enough words\n")
        self.passphrases = Passphrases.of([str(words)], 8 * 1024 * 1024)
        made = ceremony.hold(ceremony.Ceremony(self.keys, ("agent", "shop"), thresholds or {}), self.passphrases)
        self.root_sha256 = made.root_sha256
        metadata = self.keys / "for-server" / "metadata"
        self.files = {path.name: path.read_bytes() for path in metadata.iterdir()}

    def ring(self, *stems: str, server_keys: bool = False, out: Path | None = None) -> Ring:
        paths = [self.keys / f"{stem}.key" for stem in stems]
        return Ring.of(paths, out, self.passphrases, server_keys=server_keys)

    def apart(self, *stems: str) -> None:
        """Bring each of these key files to a folder of its own, with nothing beside it."""
        for stem in stems:
            folder = self.keys / stem
            folder.mkdir()
            (self.keys / f"{stem}.key").rename(folder / f"{stem}.key")

    def forget(self, *names: str) -> None:
        """Lose what lies beside the keys."""
        for name in names:
            (self.keys / name).unlink()

    def key_files(self) -> list[str]:
        return sorted(path.name for path in self.keys.rglob("*.key"))


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def refused(server: Hostile, owner: Owner, *roles: str, ring: Ring, order: Order = YES) -> FleetrollError:
    before = owner.key_files()
    with pytest.raises(FleetrollError) as caught:
        rotating.rotate_roles(server.client, roles, {}, ring, order)
    assert (server.taken, server.asked, owner.key_files()) == ([], [], before)
    return caught.value


@pytest.mark.parametrize("roles", [("targets",), ("targets", "snapshot"), ("products/shop",), EVERY])
def test_a_server_that_claims_the_keys_of_an_offline_repository_gets_nothing_signed(
    owner: Owner, roles: tuple[str, ...]
) -> None:
    error = refused(Hostile(owner.files, *EVERY), owner, *roles, ring=owner.ring("root-1", "root-2"))
    assert error.code is Code.NOT_ALLOWED
    assert "signed here" in error.message


def test_nor_where_nothing_here_remembers_who_signed(owner: Owner) -> None:
    owner.forget(RECORD_NAME)
    error = refused(Hostile(owner.files, *EVERY), owner, "targets", ring=owner.ring("root-1", "root-2"))
    assert (error.code, "its word is not enough" in error.message) == (Code.NOT_ALLOWED, True)
    assert "--server-keys" in error.remedy


def test_the_option_is_refused_where_the_record_or_a_key_file_says_otherwise(owner: Owner) -> None:
    server = Hostile(owner.files, *EVERY)
    error = refused(server, owner, "targets", ring=owner.ring("root-1", "root-2", server_keys=True))
    assert (error.code, error.details["field"]) == (Code.NOT_ALLOWED, "server_keys")
    owner.forget(RECORD_NAME)
    for stem in ("targets", "products-shop"):
        ring = owner.ring("root-1", "root-2", stem, server_keys=True)
        error = refused(server, owner, "targets", ring=ring)
        assert error.code is Code.NOT_ALLOWED
        assert "no server holds that key" in error.message


def test_one_key_of_targets_is_not_given_to_the_server_either(owner: Owner) -> None:
    server = Hostile(owner.files, *EVERY)
    ring = owner.ring("root-1", "root-2")
    keyid = Desk(server.client, ring.folders, YES).standing["targets"].keys[0].keyid
    with pytest.raises(RequestError) as caught:
        rotating.revoke_one(server.client, keyid, ring, YES)
    assert (caught.value.code, server.taken, server.asked) == (Code.NOT_ALLOWED, [], [])


def test_with_the_option_a_managed_server_makes_the_keys(owner: Owner) -> None:
    owner.forget(RECORD_NAME)
    server = Hostile(owner.files, *EVERY)
    rotating.rotate_roles(server.client, ["targets"], {}, owner.ring("root-1", "root-2", server_keys=True), YES)
    assert server.asked == ["targets"]
    (request,) = server.taken
    root = follow_roots(owner.files, {file.name: file.payload for file in request.files})
    assert root.roles["targets"].keyids == [server.thief[0].public.keyid]


@pytest.mark.parametrize("roles", [("targets",), ("root",), ("snapshot", "timestamp"), ("products/shop", "timestamp")])
def test_a_dry_run_sends_nothing_signed_and_has_the_server_make_nothing(
    owner: Owner, roles: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    server, before = Hostile(owner.files), owner.key_files()
    ring = owner.ring("root-1", "root-2", "targets")
    rotating.rotate_roles(server.client, roles, {}, ring, Order(dry_run=True))
    assert (server.taken, server.asked, owner.key_files()) == ([], [], before)
    said = capsys.readouterr().out
    assert "checked here; nothing was sent, nothing was kept" in said
    assert ("which the server would be asked for" in said) == ("timestamp" in roles)


def test_a_dry_run_of_a_managed_server_asks_it_for_nothing(owner: Owner) -> None:
    owner.forget(RECORD_NAME)
    server = Hostile(owner.files, *EVERY)
    ring = owner.ring("root-1", "root-2", server_keys=True)
    rotating.rotate_roles(server.client, ["targets", "timestamp"], {}, ring, Order(dry_run=True))
    assert (server.taken, server.asked) == ([], [])


def test_nothing_signed_leaves_before_somebody_agrees_and_the_keys_are_written(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, before = Hostile(owner.files), owner.key_files()
    monkeypatch.setattr(sys, "stdin", _Terminal())
    answers: list[bool] = [False, True]

    def confirm(*_: Any, **__: Any) -> None:
        assert (server.taken, owner.key_files()) == ([], before)
        if not answers.pop(0):
            raise typer.Abort

    monkeypatch.setattr(typer, "confirm", confirm)
    commit = server.CommitMetadata
    written: list[str] = []

    def taking(request: Any, timeout: float) -> Any:
        written.extend(name for name in owner.key_files() if name not in before)
        return commit(request, timeout)

    monkeypatch.setattr(server, "CommitMetadata", taking)
    ring = owner.ring("root-1", "root-2")
    with pytest.raises(typer.Abort):
        rotating.rotate_roles(server.client, ["targets"], {}, ring, Order())
    assert (server.taken, owner.key_files()) == ([], before)
    rotating.rotate_roles(server.client, ["targets"], {}, ring, Order())
    assert written == ["targets-2.key"], "durable before it is used"
    assert [request.dry_run for request in server.taken] == [False], "one commit, and no trial"


def test_a_product_that_the_server_keeps_quiet_about_is_taken_from_it(owner: Owner, tmp_path: Path) -> None:
    owner.forget(RECORD_NAME)
    server = Hostile(owner.files, "targets")
    rotating.go_offline(server.client, {}, owner.ring("root-1", "root-2", out=tmp_path / "new"), YES)
    names = sorted(path.name for path in (tmp_path / "new").glob("*.key"))
    assert names == ["products-agent.key", "products-shop.key", "targets.key"]
    (request,) = server.taken
    signed = ["2.products%2Fagent.json", "2.products%2Fshop.json", "2.root.json", "2.targets.json"]
    assert sorted(file.name for file in request.files) == signed
    assert load_record((tmp_path / "new" / RECORD_NAME).read_bytes())["root_sha256"] == owner.root_sha256


def test_a_product_whose_key_file_is_named_stays_with_its_key(owner: Owner, tmp_path: Path) -> None:
    owner.forget(RECORD_NAME)
    server = Hostile(owner.files, "targets", "products/agent", "products/shop")
    ring = owner.ring("root-1", "root-2", "products-shop", out=tmp_path / "new")
    rotating.go_offline(server.client, {}, ring, YES)
    assert sorted(path.name for path in (tmp_path / "new").glob("*.key")) == ["products-agent.key", "targets.key"]


def test_too_few_key_files_of_a_product_neither_keep_it_nor_lose_it(tmp_path: Path) -> None:
    owner = Owner(tmp_path, {"shop": (2, 3)})
    owner.forget(RECORD_NAME)
    server, before = Hostile(owner.files, "targets"), owner.key_files()
    with pytest.raises(RequestError) as caught:
        rotating.go_offline(server.client, {}, owner.ring("root-1", "root-2", "products-shop-1"), YES)
    assert "1 key files of products/shop are named, 2 sign it" in caught.value.message
    assert (server.taken, owner.key_files()) == ([], before)


def test_what_is_offline_is_not_taken_over_again(owner: Owner) -> None:
    server = Hostile(owner.files, *EVERY)
    with pytest.raises(RequestError) as caught:
        rotating.go_offline(server.client, {}, owner.ring("root-1", "root-2"), YES)
    assert ("the key of targets is here" in caught.value.message, server.taken) == (True, [])


def test_what_lies_beside_any_key_counts_whichever_is_named_first(owner: Owner) -> None:
    """A newer version that was seen from one folder, and a pinned root in another."""
    owner.apart("root-1", "root-2")
    owner.forget(RECORD_NAME, "1.root.json")
    seen = {"kind": "fleetroll-publisher-1", "root_sha256": "", "versions": {"targets": 7}, "signed": {}}
    (owner.keys / "root-2" / RECORD_NAME).write_bytes(dump_record(seen))
    server = Hostile(owner.files)
    for order in (("root-1", "root-2"), ("root-2", "root-1")):
        ring = owner.ring(*(f"{stem}/{stem}" for stem in order), out=owner.keys)
        assert refused(server, owner, "targets", ring=ring).code is Code.METADATA_ROLLBACK
    (owner.keys / "root-2" / RECORD_NAME).unlink()
    (owner.keys / "root-2" / "1.root.json").write_bytes(b"another")
    for order in (("root-1", "root-2"), ("root-2", "root-1")):
        ring = owner.ring(*(f"{stem}/{stem}" for stem in order), out=owner.keys)
        assert refused(server, owner, "targets", ring=ring).code is Code.UNSIGNED
    (owner.keys / "root-1" / "1.root.json").write_bytes(owner.files["1.root.json"])
    error = refused(server, owner, "targets", ring=owner.ring("root-1/root-1", "root-2/root-2", out=owner.keys))
    assert "of several repositories" in error.message


def test_what_is_committed_is_remembered_beside_every_key(owner: Owner) -> None:
    owner.apart("root-1", "root-2")
    ring = owner.ring("root-1/root-1", "root-2/root-2", out=owner.keys)
    rotating.rotate_roles(Hostile(owner.files).client, ["targets"], {}, ring, YES)
    for folder in (owner.keys, owner.keys / "root-1", owner.keys / "root-2"):
        record = load_record((folder / RECORD_NAME).read_bytes())
        assert (record["root_sha256"], record["versions"]["root"]) == (owner.root_sha256, 2)
        assert Publisher(folder).signs >= {"root", "targets"}


def test_a_first_root_that_nothing_pins_is_shown_and_asked(
    owner: Owner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.forget(RECORD_NAME, "1.root.json")
    server, ring = Hostile(owner.files), owner.ring("root-1", "root-2")
    error = refused(server, owner, "targets", ring=ring, order=Order())
    assert "--root-sha256" in error.remedy
    assert f"root's SHA-256: {owner.root_sha256}" in capsys.readouterr().out
    assert not (owner.keys / RECORD_NAME).exists(), "nobody has believed it"
    monkeypatch.setattr(sys, "stdin", _Terminal())
    asked: list[str] = []

    def confirm(question: str, **_: Any) -> None:
        asked.append(question)
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", confirm)
    with pytest.raises(typer.Abort):
        rotating.rotate_roles(server.client, ["targets"], {}, ring, Order())
    assert (["root that hosts pin" in question for question in asked], server.taken) == ([True], [])
    wrong = Order(yes=True, root_sha256=hashlib.sha256(b"another").hexdigest())
    assert isinstance(refused(server, owner, "targets", ring=ring, order=wrong), TrustError)
    rotating.rotate_roles(server.client, ["targets"], {}, ring, Order(yes=True, root_sha256=owner.root_sha256))
    assert len(server.taken) == 1
    assert refused(Hostile(owner.files), owner, "targets", ring=ring, order=wrong).code is Code.METADATA_ROLLBACK


class _Terminal:
    """Somebody sits there."""

    @staticmethod
    def isatty() -> bool:
        return True


def test_a_ca_that_a_server_names_is_shown_with_its_fingerprint_before_anybody_signs(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Hostile(owner.files)
    thief = make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate
    current = anchors_pb2.AUTHORITY_ROLE_CURRENT
    server.authorities = [anchors_pb2.Authority(certificate=thief.decode("ascii"), role=current)]

    def no(*_: Any, **__: Any) -> None:
        raise typer.Abort

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", no)
    wish = anchoring.Wish(("fleet.example:8443",), ("current",))
    with pytest.raises(typer.Abort):
        anchoring.sign(server.client, wish, owner.ring("targets"), Order())
    assert f"CA {fingerprint(thief)}, NEW, as the server says" in capsys.readouterr().out
    assert server.taken == []


def test_anchors_that_lead_to_another_server_are_forced_with_a_reason(owner: Owner) -> None:
    """The fleet moves: its owner may say so, and nothing is sent without why."""
    server = Hostile(owner.files)
    elsewhere = make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode("ascii")
    wish, ring = anchoring.Wish(("fleet.example:8443",), (), (elsewhere,)), owner.ring("targets")
    with pytest.raises(RequestError, match="reason") as caught:
        anchoring.sign(server.client, wish, ring, Order(yes=True, force=True))
    assert caught.value.details["field"] == "reason"
    assert server.taken == []
    anchoring.sign(server.client, wish, ring, Order("the fleet moves", yes=True, force=True))
    (request,) = server.taken
    assert (request.force, request.reason) == (True, "the fleet moves")
