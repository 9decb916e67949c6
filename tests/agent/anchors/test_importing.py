"""Anchors that are carried: verified from the pinned root on, taken once, and nothing weaker for their carrier."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.anchors import importing
from fleetroll_agent.app import main
from fleetroll_agent.identity.facts import Enrolment
from fleetroll_agent.identity.store import IdentityStore
from fleetroll_common.values.anchors import Anchors
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.anchoring import set_anchors
from fleetroll_server.certificates import make_ca
from tests.faults.identity_disk import CA_PEM
from tests.faults.repositories import START, Repository, role_signers

if TYPE_CHECKING:
    from pathlib import Path

CAS = [make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode() for _ in range(2)]
FIRST = Anchors(1, ("c.example:3",), (CAS[0],))
SECOND = Anchors(2, ("d.example:4",), (CAS[1],))
REFUSED = 21


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(Repository().files)


@pytest.fixture
def state(tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that pins the repository's root; its clock stands where the repository was made."""
    folder = tmp_path / "state"
    folder.mkdir()
    store = IdentityStore(folder / "identity", SystemIds())
    store.candidate()
    store.enrol(Enrolment("agent-1", "fleet", ("a:1",), "", {}, b"", b"", CA_PEM, files["1.root.json"]))
    monkeypatch.setattr(importing, "SystemClock", lambda: FakeClock(START + timedelta(days=40)))
    return folder


def mirror(folder: Path, files: dict[str, bytes]) -> str:
    (folder / "metadata").mkdir(parents=True)
    for name, data in files.items():
        (folder / "metadata" / name).write_bytes(data)
    return str(folder)


def run(state: Path, source: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["anchors", "import", source, "--state", str(state)])
    said = capsys.readouterr()
    return code, said.out + said.err


def kept(state: Path) -> tuple[tuple[str, ...], bytes]:
    enrolment = IdentityStore(state / "identity", SystemIds()).load().enrolment
    return enrolment.addresses, enrolment.ca_pem


def test_newer_anchors_are_taken_40_days_later_and_the_waiver_is_said(
    state: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.update(set_anchors(files, FIRST, role_signers(), START))
    source = mirror(tmp_path / "mirror", files)
    code, said = run(state, source, capsys)
    assert (code, "anchors 1 are taken" in said) == (0, True), said
    assert "expiry waived: timestamp" in said
    assert kept(state) == (("c.example:3", "a:1"), CAS[0].encode())
    code, said = run(state, source, capsys)
    assert (code, "already" in said) == (0, True)
    assert main(["anchors", "show", "--state", str(state), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["serial"], shown["addresses"], shown["former_addresses"]) == (1, ["c.example:3"], ["a:1"])
    assert main(["anchors", "show", "--state", str(state)]) == 0
    assert "c.example:3" in capsys.readouterr().out


def test_older_ones_are_refused_and_change_nothing(
    state: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.update(set_anchors(files, FIRST, role_signers(), START))
    old = mirror(tmp_path / "old", files)
    files.update(set_anchors(files, SECOND, role_signers(), START))
    assert run(state, mirror(tmp_path / "new", files), capsys)[0] == 0
    before = kept(state)
    code, said = run(state, old, capsys)
    assert (code, "METADATA_ROLLBACK" in said) == (REFUSED, True), said
    assert kept(state) == before


def test_what_another_key_signed_is_refused(
    state: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thief of all online keys can sign no anchors: the targets role is signed by another key."""
    files.update(set_anchors(files, FIRST, role_signers(), START))
    (name,) = [name for name in files if name == "2.targets.json"]
    files[name] = files[name].replace(b"c.example", b"e.example")
    before = kept(state)
    code, said = run(state, mirror(tmp_path / "mirror", files), capsys)
    assert code == REFUSED, said
    assert kept(state) == before


@pytest.mark.parametrize("source", ["https://mirror.example/", "absent.tar"])
def test_what_is_no_carried_repository_is_refused_by_name(
    state: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(state, source, capsys)
    assert (code, source.rstrip("/") in said) == (REFUSED, True), said


def test_a_repository_without_anchors_says_what_to_do(
    state: Path, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(state, mirror(tmp_path / "mirror", files), capsys)
    assert (code, "fleetroll anchors set" in said) == (REFUSED, True), said
