"""The CA's folder: a successor, the bridge to it, and a switch that a crash anywhere leaves whole."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from fleetroll_common.durable import write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_common.values.ids import SystemIds
from fleetroll_server import authority
from fleetroll_server.certificates import Pair, ends_at, is_issued_by, leads_to, make_ca
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.leaf import Leaf
from fleetroll_server.secrets import Secrets

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def made(home: Path) -> tuple[DataFolder, Secrets, Pair]:
    folder = DataFolder(home)
    folder.make()
    secrets = Secrets.create(folder.secret_key, SystemIds())
    ca = make_ca("Fleetroll CA", NOW)
    authority.store_ca(folder, secrets, ca)
    return folder, secrets, ca


def test_a_successor_has_the_name_of_the_old_ca_and_a_bridge_that_ends_with_the_sooner_of_both(tmp_path: Path) -> None:
    folder, secrets, old = made(tmp_path)
    known = authority.prepare(folder, secrets, NOW + timedelta(days=5 * 365))
    assert known.successor is not None
    new = x509.load_pem_x509_certificate(known.successor)
    assert new.subject == x509.load_pem_x509_certificate(old.certificate).subject
    assert not is_issued_by(known.successor, old.certificate)
    (bridge,) = authority.switch(folder, NOW).bridges
    read = x509.load_pem_x509_certificate(bridge)
    assert is_issued_by(bridge, old.certificate)
    assert read.public_key() == new.public_key()
    assert ends_at(bridge) == ends_at(old.certificate) < ends_at(known.successor)
    constraints = read.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_after_the_switch_old_and_new_lead_to_the_leaf_and_no_other_does(tmp_path: Path) -> None:
    folder, secrets, old = made(tmp_path)
    leaf = Leaf(folder, secrets, ["a.example"], NOW)
    before = leaf.chain
    new = leaf.prepare(NOW).successor
    assert new is not None
    assert leaf.chain == before
    assert not leads_to(leaf.chain, [new])
    leaf.switch(NOW)
    assert leaf.chain[0] != before[0]
    assert leads_to(leaf.chain, [new])
    assert leads_to(leaf.chain, [old.certificate])
    assert not leads_to(leaf.chain, [make_ca("Fleetroll CA", NOW).certificate])
    assert not leads_to(before, [new])


def test_who_was_away_for_two_rotations_still_gets_in(tmp_path: Path) -> None:
    folder, secrets, first = made(tmp_path)
    leaf = Leaf(folder, secrets, ["a.example"], NOW)
    for _ in range(2):
        leaf.prepare(NOW)
        leaf.switch(NOW)
    assert len(leaf.chain) == 3
    assert leads_to(leaf.chain, [first.certificate])


def test_bridges_that_have_ended_and_those_of_long_ago_are_shown_no_more(tmp_path: Path) -> None:
    folder, secrets, _ = made(tmp_path)
    for _ in range(authority.MAX_BRIDGES + 2):
        authority.prepare(folder, secrets, NOW)
        authority.switch(folder, NOW)
    assert len(authority.read_authority(folder).bridges) == authority.MAX_BRIDGES
    authority.prepare(folder, secrets, NOW + timedelta(days=25 * 365))
    known = authority.switch(folder, NOW + timedelta(days=25 * 365))
    assert known.bridges == (), "whoever trusts the old CA alone has nobody to trust"
    assert authority.read_authority(folder) == known


def test_one_successor_at_a_time_and_no_switch_without_one(tmp_path: Path) -> None:
    folder, secrets, _ = made(tmp_path)
    with pytest.raises(RequestError) as none:
        authority.switch(folder, NOW)
    assert none.value.code is Code.NOT_FOUND
    authority.prepare(folder, secrets, NOW)
    with pytest.raises(RequestError) as two:
        authority.prepare(folder, secrets, NOW)
    assert two.value.code is Code.ALREADY_EXISTS


class CutShortError(Exception):
    """The process ended here."""


@pytest.mark.parametrize("writes", range(1, 5))
def test_a_crash_anywhere_in_the_switch_is_finished_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    folder, secrets, _ = made(tmp_path)
    successor = authority.prepare(folder, secrets, NOW).successor
    real, left = write_durably, [writes]

    def write(*given: Any) -> None:
        if not left[0]:
            raise CutShortError
        left[0] -= 1
        real(*given)

    monkeypatch.setattr(authority, "write_durably", write)
    if writes < 4:
        with pytest.raises(CutShortError):
            authority.switch(folder, NOW)
    else:
        authority.switch(folder, NOW)
    monkeypatch.undo()
    after = authority.read_authority(folder)
    assert (after.certificate, after.successor, len(after.bridges)) == (successor, None, 1)
    leaf = authority.current_leaf(folder, secrets, ["a.example"], NOW)
    assert is_issued_by(leaf.certificate, after.certificate)
    assert sorted(path.name for path in folder.tls.iterdir() if "switch" in path.name or "next" in path.name) == []


def test_a_crash_before_the_switch_is_on_disk_leaves_the_old_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, secrets, old = made(tmp_path)
    authority.prepare(folder, secrets, NOW)

    def write(*_given: Any) -> None:
        raise CutShortError

    monkeypatch.setattr(authority, "write_durably", write)
    with pytest.raises(CutShortError):
        authority.switch(folder, NOW)
    monkeypatch.undo()
    known = authority.read_authority(folder)
    assert known.certificate == old.certificate
    assert known.successor is not None


def test_the_key_of_the_old_ca_is_gone_after_the_switch(tmp_path: Path) -> None:
    folder, secrets, old = made(tmp_path)
    authority.prepare(folder, secrets, NOW)
    authority.switch(folder, NOW)
    held = b"".join(path.read_bytes() for path in folder.tls.iterdir())
    assert secrets.open((folder.tls / "ca.key.sealed").read_text()) != old.key
    assert old.key not in held


@pytest.mark.parametrize("name", ["ca.pem", "bridges.pem", "next.json", "switch.json"])
def test_a_damaged_file_is_named_and_no_ca_is_made_in_its_place(tmp_path: Path, name: str) -> None:
    folder, _secrets, _ = made(tmp_path)
    (folder.tls / name).write_text("damaged")
    with pytest.raises(StoreError, match=name) as refused:
        authority.read_authority(folder)
    assert "backup" in refused.value.remedy


def test_a_key_of_another_ca_signs_nothing(tmp_path: Path) -> None:
    folder, secrets, _ = made(tmp_path / "a")
    other, other_secrets, _ = made(tmp_path / "b")
    (folder.tls / "ca.key.sealed").write_text(
        secrets.seal(other_secrets.open((other.tls / "ca.key.sealed").read_text()))
    )
    with pytest.raises(StoreError, match="not the key"):
        authority.current_leaf(folder, secrets, ["a.example"], NOW)


def test_a_leaf_of_another_ca_is_made_anew(tmp_path: Path) -> None:
    """A folder whose CA was brought back from a backup."""
    folder, secrets, _ = made(tmp_path / "a")
    authority.current_leaf(folder, secrets, ["a.example"], NOW)
    saved = tmp_path / "saved"
    shutil.copytree(folder.tls, saved)
    authority.prepare(folder, secrets, NOW)
    authority.switch(folder, NOW)
    newer = authority.current_leaf(folder, secrets, ["a.example"], NOW)
    for name in ("ca.pem", "ca.key.sealed"):
        shutil.copy(saved / name, folder.tls / name)
    again = authority.current_leaf(folder, secrets, ["a.example"], NOW)
    assert again != newer
    assert is_issued_by(again.certificate, (folder.tls / "ca.pem").read_bytes())
