"""A product in the folder of an account that means ill, and a folder of root's that it would like to change."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.durable import effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ATTACKER = 65534
"""An account without any rights; the tests themselves run as root, as the agent does."""

Seen = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Ground:
    """The folders; every part of the way to them is root's."""

    base: Path

    @property
    def bin(self) -> Path:
        """The attacker's folder with the product in it, in another one of his."""
        return self.base / "app" / "bin"

    @property
    def path(self) -> Path:
        return self.bin / "shop"

    @property
    def source(self) -> Path:
        """The new file, in a folder that is root's."""
        return self.base / "slot" / "run"

    @property
    def precious(self) -> Path:
        """Root's folder, with files of the product's names."""
        return self.base / "precious"

    def make(self) -> None:
        """Lay everything out anew."""
        shutil.rmtree(self.base)
        for folder in (self.bin, self.source.parent, self.precious):
            folder.mkdir(parents=True)
        self.base.chmod(0o755)
        self.source.write_text("two")
        for name in ("keep", "shop.old", ".shop.fleetroll-undo-7", ".shop.fleetroll-absent-6"):
            (self.precious / name).write_text("root's")
        self.path.write_text("one")
        for mine in (self.path, self.bin, self.bin.parent):
            os.chown(mine, ATTACKER, ATTACKER)
        self.path.chmod(0o777)

    def seen(self) -> Seen:
        """Return all that is known of root's folder and what is in it, but when it was read."""
        found: Seen = {}
        for one in (self.precious, *sorted(self.precious.iterdir())):
            facts = one.lstat()
            data = "" if one.is_dir() else one.read_text()
            found[one.name] = (facts.st_ino, facts.st_mode, facts.st_uid, facts.st_gid, facts.st_nlink, data)
        return found

    def bend(self) -> None:
        """Put a link to root's folder in the place of the product's, as the attacker can."""
        with attacking():
            self.bin.rename(self.bin.with_name("away"))
            self.bin.symlink_to(self.precious)

    def bend_names(self) -> None:
        """Put links to root's file in the place of all that is in the product's folder."""
        with attacking():
            for one in self.bin.iterdir():
                one.unlink()
                one.symlink_to(self.precious / "keep")


@contextlib.contextmanager
def attacking() -> Iterator[None]:
    """Do the block with the attacker's rights."""
    os.setegid(ATTACKER)
    os.seteuid(ATTACKER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Give the folders; the attacker can't go through those of pytest."""
    base = Path(tempfile.mkdtemp(prefix="fleetroll-ground-"))
    made = Ground(base)
    made.make()
    yield made
    shutil.rmtree(base)


def before_effect(patch: pytest.MonkeyPatch, number: int, then: Callable[[], None]) -> list[str]:
    """Let ``then`` happen before the effect ``number``, counted from 1; 0 = never. Return the list of those done."""
    done: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            done.append(name)
            if len(done) == number:
                then()
            return real(*args)

        return call

    for name in effects.POINTS:
        patch.setattr(effects, name, counted(name, getattr(effects, name)))
    return done
