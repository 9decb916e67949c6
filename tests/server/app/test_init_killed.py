"""init that was killed is run again: its worthless leftovers go, and nothing that anybody else wrote."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_server.unfinished import MARK
from tests.server.app.test_init import make

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import os, pathlib, sys
from fleetroll_common.durable import effects
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.ids import SystemIds
from fleetroll_server import init

where, folder = sys.argv[1], pathlib.Path(sys.argv[2])
die = lambda *_words, **_more: os.kill(os.getpid(), 9)
if where == "rename":
    pathlib.Path.rename = die
else:
    one = lambda real: lambda source, target: die() if str(target).endswith(where) else real(source, target)
    effects.rename, effects.link = one(effects.rename), one(effects.link)
init.initialise(init.InitRequest(data=folder / "data", root_keys=folder / "keys"), SystemClock(), SystemIds())
"""


def kill(tmp_path: Path, where: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, where, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "data").exists()
    assert any((tmp_path / "keys").iterdir())


@pytest.mark.parametrize("where", ["rename", "root-2.key", "1.root.json"])
def test_it_is_simply_run_again(tmp_path: Path, where: str) -> None:
    kill(tmp_path, where)
    left = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    made = make(tmp_path)
    assert made.folder.path.is_dir()
    assert not (made.folder.path / MARK).exists()
    names = ["1.root.json", "root-1.key", "root-2.key", "root-3.key", "unlock.key"]
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == names
    assert all((tmp_path / "keys" / name).read_bytes() != data for name, data in left.items() if name in names)


def test_keys_that_somebody_put_there_since_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make(tmp_path / "other")
    kill(tmp_path, "rename")
    (tmp_path / "keys" / "root-1.key").write_bytes((tmp_path / "other" / "keys" / "root-1.key").read_bytes())
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    with pytest.raises(RequestError, match="in use"):
        make(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


def test_the_keys_of_a_server_that_was_made_are_no_leftovers(tmp_path: Path) -> None:
    made = make(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    with pytest.raises(RequestError, match="in use"):
        make(tmp_path, data=tmp_path / "data2")
    with pytest.raises(RequestError, match="in use"):
        make(tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before
    assert made.folder.path.is_dir()
