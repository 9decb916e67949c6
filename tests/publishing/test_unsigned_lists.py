"""Lists that nobody has signed: no host takes them, whoever signs the next root reads them and goes on from there."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.trust import TrustClient
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError, TrustError
from fleetroll_publishing.carrying.signing_copy import read_for_signing
from fleetroll_publishing.gate import check_repository
from fleetroll_publishing.roles import read_repository
from fleetroll_publishing.sealing import DEFAULT_EXPIRIES, following, is_signed, leave_unsigned
from tests.faults.keyrings import Owner
from tests.faults.repositories import BUILT_AT, START, Repository

if TYPE_CHECKING:
    from pathlib import Path


def host(folder: Path, repository: Repository) -> TrustClient:
    return TrustClient(folder, repository.root, repository, FakeClock(START), BUILT_AT)


def left_unsigned(repository: Repository) -> dict[str, bytes]:
    """The same with the next lists unsigned."""
    act = following(repository.files, repository.signers, START, DEFAULT_EXPIRIES)
    return {**repository.files, **leave_unsigned(act, {}, {})}


def test_no_host_takes_them(tmp_path: Path) -> None:
    repository = Repository()
    host(tmp_path, repository).refresh()
    repository.files = left_unsigned(repository)
    assert not is_signed(repository.files["timestamp.json"])
    for folder in (tmp_path, tmp_path / "fresh"):
        with pytest.raises(FleetrollError) as caught:
            host(folder, repository).refresh()
        assert caught.value.code is Code.UNSIGNED


def test_they_are_held_to_everything_but_their_signatures() -> None:
    repository = Repository()
    files = left_unsigned(repository)
    check_repository(files, unsigned_lists=True)
    with pytest.raises(TrustError):
        check_repository(files)
    twin = Repository()
    twin.publish("6.6.6")
    files["2.products%2Fagent.json"] = twin.files["3.products%2Fagent.json"]
    with pytest.raises(TrustError):
        check_repository(files, unsigned_lists=True)


def test_whoever_signs_the_next_root_reads_them_and_hosts_follow_what_comes_then(tmp_path: Path) -> None:
    repository = Repository()
    host(tmp_path / "seen", repository).refresh()
    repository.files = left_unsigned(repository)
    read = read_for_signing(repository, repository.root)
    assert set(read) <= set(repository.files)
    Owner(repository, count()).rotate("snapshot", "timestamp")
    assert is_signed(repository.files["timestamp.json"])
    assert read_repository(repository.files).root.version == 2
    for folder in ("seen", "fresh"):
        host(tmp_path / folder, repository).refresh()


def test_a_list_under_a_wrong_signature_is_no_unsigned_one() -> None:
    repository, foreign = Repository(), Repository(prefix="foreign ")
    repository.files |= {"timestamp.json": foreign.files["timestamp.json"]}
    with pytest.raises(FleetrollError):
        read_for_signing(repository, repository.root)
