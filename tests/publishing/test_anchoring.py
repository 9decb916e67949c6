"""Setting the anchors: what hosts then read, and what is refused before a host would refuse it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.trust import MetadataAbsent, TrustClient
from fleetroll_common.trust.library import TargetFile, Targets
from fleetroll_common.values.anchors import ANCHORS_PATH, Anchors
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.anchored import anchors_target, read_anchors
from fleetroll_publishing.anchoring import listed_anchors, set_anchors, sign_anchors
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.repository import refresh_timestamp
from fleetroll_publishing.roles import read_repository
from fleetroll_server.certificates import make_ca
from tests.faults.repositories import START, Repository, role_signers

if TYPE_CHECKING:
    from pathlib import Path

CAS = tuple(make_ca("Fleetroll CA", datetime(2026, 1, 1, tzinfo=UTC)).certificate.decode() for _ in range(2))
FIRST = Anchors(1, ("a.example:8443", "b.example:8443"), CAS[:1])
SECOND = Anchors(2, ("c.example:443",), CAS)


class Files:
    """A repository as a source of metadata."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def fetch(self, name: str, max_bytes: int) -> bytes:
        if name not in self.files:
            raise MetadataAbsent(name)
        return self.files[name][: max_bytes + 1]


def taken(client: TrustClient) -> Anchors | None:
    found = client.anchors()
    return None if found is None else found.anchors


def test_a_host_reads_what_was_set_and_takes_the_next_one(tmp_path: Path) -> None:
    files = dict(Repository().files)
    source = Files(files)
    client = TrustClient(tmp_path, files["1.root.json"], source, FakeClock(START), START - timedelta(days=1))
    client.refresh()
    assert client.anchors() is None
    for anchors in (FIRST, SECOND):
        files.update(set_anchors(files, anchors, role_signers(), START))
        client.refresh()
        assert taken(client) == anchors
        assert listed_anchors(files) == anchors
    assert client.targets("agent"), "the products' roles are as they were"
    files.update(refresh_timestamp(files, role_signers(), START))
    client.refresh()
    assert taken(client) == SECOND


@pytest.mark.parametrize("serial", [1, 3, 7])
def test_a_serial_that_does_not_follow_is_refused(serial: int) -> None:
    files = dict(Repository().files)
    files.update(set_anchors(files, FIRST, role_signers(), START))
    with pytest.raises(RequestError) as refused:
        set_anchors(files, replace(SECOND, serial=serial), role_signers(), START)
    assert (refused.value.code, refused.value.details["field"]) == (Code.CONFLICT, "serial")


def test_the_first_anchors_have_the_serial_1() -> None:
    with pytest.raises(RequestError):
        set_anchors(Repository().files, SECOND, role_signers(), START)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("addresses", ()),
        ("addresses", ("a.example",)),
        ("addresses", ("a.example:0",)),
        ("addresses", ("a.example:1",) * 2),
        ("addresses", tuple(f"a{number}.example:1" for number in range(17))),
        ("certificates", ()),
        ("certificates", ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",)),
        ("certificates", (CAS[0] + CAS[1],)),
    ],
)
def test_anchors_that_no_host_could_use_are_refused_by_name(field: str, values: tuple[str, ...]) -> None:
    changed: dict[str, Any] = {field: values}
    with pytest.raises(RequestError) as refused:
        replace(FIRST, **changed)
    assert refused.value.details["field"] == field


def test_a_publisher_signs_one_file_and_needs_no_online_key() -> None:
    files = dict(Repository().files)
    signers = replace(role_signers(), snapshot=None, timestamp=None, products={}, root=())
    new = sign_anchors(files, FIRST, signers, START)
    assert list(new) == [f"{read_repository(files).targets.version + 1}.targets.json"]
    assert set_anchors(files, FIRST, role_signers(), START).keys() > new.keys()


def test_without_the_targets_key_nothing_is_signed() -> None:
    with pytest.raises(RequestError) as refused:
        set_anchors(Repository().files, FIRST, replace(role_signers(), targets=None), START)
    assert refused.value.code is Code.NOT_ALLOWED


def _role(**targets: TargetFile) -> Targets:
    return Targets(2, "1.0.31", START, {target.path: target for target in targets.values()})


def test_the_top_level_role_lists_nothing_but_sound_anchors() -> None:
    good = anchors_target(FIRST)
    assert read_anchors(_role(good=good)) == FIRST
    stray = TargetFile(7, {"sha256": "0" * 64}, "agent/1.0.0/x")
    other_bytes = TargetFile(good.length, {"sha256": "0" * 64}, ANCHORS_PATH, {"custom": FIRST.to_json()})
    unreadable = TargetFile(good.length, good.hashes, ANCHORS_PATH, {"custom": {"kind": "anchors"}})
    bare = TargetFile(good.length, good.hashes, ANCHORS_PATH)
    for bad in (stray, other_bytes, unreadable, bare):
        with pytest.raises(TrustError) as refused:
            read_anchors(_role(bad=bad))
        assert refused.value.code is Code.METADATA_INVALID


def test_the_gate_refuses_a_repository_whose_anchors_are_not_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(Repository().files)
    check_repository({**files, **set_anchors(files, FIRST, role_signers(), START)})
    odd = TargetFile(7, {"sha256": "0" * 64}, ANCHORS_PATH, {"custom": FIRST.to_json()})
    monkeypatch.setattr("fleetroll_publishing.anchoring.anchors_target", lambda _anchors: odd)
    with pytest.raises(TrustError, match="anchors"):
        set_anchors(files, FIRST, role_signers(), START)
