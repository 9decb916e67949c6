"""What lies beside keys: every root, the newest of each other role, and nothing that a crash could take away."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.clock import FakeClock
from fleetroll_publishing import kept as module
from fleetroll_publishing.commit_gate import parse_name
from fleetroll_publishing.kept import FOLDER, keep, kept
from fleetroll_publishing.publisher import RECORD_NAME, Publisher, _load
from tests.faults.keyrings import Owner
from tests.faults.repositories import START
from tests.publishing.test_publisher import CLOCK, Shown

if TYPE_CHECKING:
    from pathlib import Path


def newest(repository: Shown) -> dict[str, bytes]:
    """What people have signed of a repository, older versions left out."""
    named = {n: parse_name(n) for n in repository.files if "snapshot" not in n and "timestamp" not in n}
    high: dict[str, int] = {}
    for version, role in named.values():
        high[role] = max(version, high.get(role, 0))
    return {n: repository.files[n] for n, (version, role) in named.items() if role == "root" or high[role] == version}


def test_what_was_seen_and_signed_lies_beside_the_keys(tmp_path: Path) -> None:
    repository = Shown()
    Publisher(tmp_path).read(repository, CLOCK)
    assert kept(tmp_path / FOLDER) == newest(repository)
    Owner(repository, count()).rotate("targets")
    repository.publish("1.1.0")
    publisher = Publisher(tmp_path)
    publisher.read(repository, FakeClock(START))
    assert kept(tmp_path / FOLDER) == newest(repository)
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == set(newest(repository)), "what is older is gone"


def test_a_folder_that_was_made_for_new_keys_has_the_way_there_too(tmp_path: Path) -> None:
    repository = Shown()
    owner = Owner(repository, count())
    owner.rotate("targets")
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    publisher = Publisher(old, new)
    publisher.read(repository, CLOCK)
    new.mkdir()
    offline = owner.rotate("targets")
    publisher.committed(offline)
    assert kept(new / FOLDER) == newest(repository)
    assert kept(old / FOLDER) == newest(repository)


def test_no_version_is_remembered_whose_file_could_not_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a record would refuse a restored server, and nothing could mend it."""
    repository = Shown()
    Publisher(tmp_path).read(repository, CLOCK)
    before = (tmp_path / RECORD_NAME).read_bytes()
    repository.publish("1.1.0")

    def full(*_words: Any) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(module, "write_durably", full)
    with pytest.raises(OSError, match="no space"):
        Publisher(tmp_path).read(repository, CLOCK)
    assert (tmp_path / RECORD_NAME).read_bytes() == before
    assert _load(tmp_path).versions["products/agent"] == 2


def test_strangers_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    repository = Shown()
    keep(tmp_path, repository.files)
    (tmp_path / FOLDER / "notes.txt").write_text("no metadata")
    (tmp_path / FOLDER / "9.targets.json").mkdir()
    assert kept(tmp_path / FOLDER) == newest(repository)
    assert kept(tmp_path / "nowhere") == {}
