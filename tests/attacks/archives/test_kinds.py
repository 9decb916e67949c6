"""Every kind of hostile archive, under its name: refused with a reason that names it, and nothing anywhere is left."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.artefacts import Found, fill_slot
from fleetroll_agent.slots import SlotStore
from fleetroll_agent.unpack import unpack
from fleetroll_common.trust import ListedTarget
from fleetroll_common.values.errors import TrustError
from fleetroll_common.values.platform import Platform
from tests.attacks.archives.kinds_of_archives import ARCHIVES
from tests.attacks.archives.kinds_of_entries import ENTRIES
from tests.faults.archives import compress, honest

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_common.values.release import ReleaseCustom
    from tests.attacks.archives.shots import Shot

KINDS = ENTRIES | ARCHIVES
LEAST = 25
Seen = dict[str, tuple[tuple[int, ...], bytes]]


@dataclass
class Surroundings:
    """A state folder with what a host keeps in it, and folders around it that no archive has any business in."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "outer" / "state"

    @property
    def outside(self) -> Path:
        """Where absolute names of the attacks lead."""
        return self.root / "elsewhere"

    @property
    def download(self) -> Path:
        return self.state / "cache" / "agent" / "download"

    def make(self) -> None:
        """Lay it out, with one honest slot."""
        for folder in (self.state / "identity", self.download.parent, self.outside):
            folder.mkdir(parents=True)
        for file in (self.root / "witness", self.root / "outer" / "witness", self.state / "identity" / "key"):
            file.write_text("untouched")
        archive = honest({"entry.py": b"installed"})
        self.download.write_bytes(compress(archive.tar()))
        fill_slot(SlotStore(self.state), self.found(custom_of(archive.custom())), self.download)

    def found(self, custom: ReleaseCustom) -> Found:
        """Return what signed metadata says about the download."""
        data = self.download.read_bytes()
        return Found(ListedTarget(custom.target_path, len(data), hashlib.sha256(data).hexdigest()), custom)

    def seen(self) -> Seen:
        """Return all that is known of everything: a file that came and went shows in its folder's time.

        The folder that drafts are made in changes with each; its content has to be the same afterwards.
        """
        drafts = self.state / "slots" / "agent"
        found: Seen = {}
        for path in (self.root, *self.root.rglob("*")):
            facts = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            at = 0 if path == drafts else facts.st_mtime_ns
            known = (facts.st_ino, facts.st_mode, facts.st_uid, facts.st_nlink if data else 0, facts.st_rdev, at)
            found[str(path)] = (known, data)
        return found

    def refuse(self, shot: Shot) -> TrustError:
        """Stage the shot as the agent does; expect the refusal that names it, and that all is as it was."""
        self.download.write_bytes(shot.raw)
        custom = custom_of(shot.signed.custom())
        before = self.seen()
        with pytest.raises(TrustError) as caught:
            self._stage(shot, custom)
        assert outside_bytes(before, self.seen()) == 0
        assert self.seen() == before
        return caught.value

    def _stage(self, shot: Shot, custom: ReleaseCustom) -> None:
        """Stage as the agent does; where the shot is about caps, do the part that has them."""
        if shot.caps is None:
            fill_slot(SlotStore(self.state), self.found(custom), self.download)
            return
        slots = SlotStore(self.state)
        draft = slots.begin(custom.version, "f" * 64)
        try:
            unpack(self.download, draft, expected=custom, platform=Platform.current(), caps=shot.caps)
        finally:
            assert list(draft.iterdir()) == []
            slots.discard(draft)


def custom_of(custom: ReleaseCustom) -> ReleaseCustom:
    """Return the description for whatever platform the test runs on."""
    return replace(custom, platform=Platform.parse("any"))


def outside_bytes(before: Seen, after: Seen) -> int:
    """Return how many bytes lie in what is new or changed."""
    return sum(max(1, len(data)) for path, (_, data) in after.items() if before.get(path) != after[path])


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """Return fresh surroundings."""
    made = Surroundings(tmp_path)
    made.make()
    return made


def check(around: Surroundings, kind: str) -> None:
    """Shoot one kind."""
    shot = KINDS[kind](around.outside)
    error = around.refuse(shot)
    said = str(error)
    assert error.code == shot.code, said
    assert error.remedy
    assert [word for word in shot.words if word not in said] == [], said
    assert said.isascii()
    assert said.isprintable()
    assert len(said) <= 800


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing(around: Surroundings, kind: str) -> None:
    check(around, kind)


def test_the_honest_archive_is_staged(around: Surroundings) -> None:
    """Else the others would be refused for no reason of theirs."""
    archive = honest({"entry.py": b"another"})
    around.download.write_bytes(compress(archive.tar()))
    slot = fill_slot(SlotStore(around.state), around.found(custom_of(archive.custom())), around.download)
    assert (slot.path / "entry.py").read_bytes() == b"another"


def test_what_comes_and_goes_outside_would_be_seen(around: Surroundings) -> None:
    before = around.seen()
    (around.outside / "x").write_text("evil")
    assert outside_bytes(before, around.seen()) >= len("evil")
    (around.outside / "x").unlink()
    assert around.seen() != before


def test_there_are_enough_kinds(around: Surroundings) -> None:
    for kind in KINDS:
        check(around, kind)
    assert len(KINDS) >= LEAST
    print(f"hostile archives: {len(KINDS)} kinds, each refused by name, 0 bytes outside")
