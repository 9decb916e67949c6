"""A slot in use is kept, whatever the records say: by real processes, and by what /proc may show."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.slots import InUse, SlotStore
from fleetroll_agent.slots.live import Lookout, live_slots, slot_users

if TYPE_CHECKING:
    from pathlib import Path

WAIT = "import sys; print(flush=True); sys.stdin.read()"
MAPPED = (  # Python's own mmap keeps the file open as well
    "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); libc.mmap.restype = ctypes.c_void_p; "
    "f = os.open('data', os.O_RDONLY); libc.mmap(None, ctypes.c_size_t(4096), 1, 2, f, ctypes.c_long(0)); "
    "os.close(f); os.chdir('/'); "
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the slots of a product: two versions, each with a file."""
    folder = tmp_path / "slots" / "shop"
    for name in ("1.0.0-aaaaaaaa", "1.1.0-bbbbbbbb"):
        (folder / name).mkdir(parents=True)
        (folder / name / "data").write_bytes(b"x" * 5000)
    return folder


def process(*command: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a program that has begun on return, and waits for the end of its input."""
    made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd)
    assert made.stdout is not None
    made.stdout.readline()
    return made


@pytest.mark.parametrize("how", ["cwd", "open", "mapped", "words", "nothing"])
def test_a_slot_that_a_process_uses_outlasts_a_pruning_and_goes_with_the_next(folder: Path, how: str) -> None:
    slot = folder / "1.0.0-aaaaaaaa"
    python, data = (sys.executable, "-c"), str(slot / "data")
    command = {
        "cwd": (*python, WAIT),
        "open": ("/bin/sh", "-c", "exec 3<data; cd /; echo; read line"),
        "mapped": (*python, f"{MAPPED}{WAIT}"),
        "words": (*python, WAIT, data),
        "nothing": (*python, WAIT),
    }[how]
    runs = process(*command, cwd=slot if how in ("cwd", "open", "mapped") else None)
    store, kept = SlotStore(folder.parent.parent, product="shop"), InUse(folder / "1.1.0-bbbbbbbb", None, None, None)
    removed = store.prune(kept)
    try:
        assert [path.name for path in removed] == ([] if how != "nothing" else ["1.0.0-aaaaaaaa"])
        assert (slot / "data").exists() is (how != "nothing")
    finally:
        runs.communicate()
    store.prune(kept)
    assert [path.name for path in folder.iterdir()] == ["1.1.0-bbbbbbbb"]


def test_a_slot_is_found_over_another_name_of_its_folder(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.symlink_to(folder.parent.parent / "slots")
    runs = process(sys.executable, "-c", WAIT, cwd=folder / "1.0.0-aaaaaaaa")
    try:
        assert live_slots(other / "shop") == {"1.0.0-aaaaaaaa"}
    finally:
        runs.communicate()
    assert live_slots(other / "shop") == frozenset()


def test_whatever_a_host_shows_nothing_is_raised(folder: Path, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    assert live_slots(folder, proc=proc) == frozenset()
    for pid in ("7", "8", "self", "9"):
        (proc / pid).mkdir(parents=True)
    (proc / "7" / "exe").symlink_to(f"{folder}/1.0.0-aaaaaaaa/bin/shop (deleted)")
    (proc / "8" / "cwd").symlink_to(f"{folder}/1.1.0-bbbbbbbb (deleted)")
    (proc / "self" / "cwd").symlink_to(f"{folder}/never")
    (proc / "9" / "maps").mkdir()
    (proc / "9" / "cmdline").write_bytes(f"{folder}x/no\0\xff\0".encode("latin-1"))
    assert live_slots(folder, proc=proc) == {"1.0.0-aaaaaaaa", "1.1.0-bbbbbbbb"}


def said_by(proc: Path, pid: str, uid: int, words: str) -> None:
    """Let a process of ``uid`` have these words."""
    (proc / pid).mkdir(parents=True)
    (proc / pid / "cmdline").write_text(words)
    os.chown(proc / pid, uid, -1)


def test_words_count_from_root_and_the_products_user_alone(folder: Path, tmp_path: Path) -> None:
    """Else anybody could keep a host's disk full of old versions, by the words of a sleep."""
    proc, words = tmp_path / "proc", f"sleep\0{folder}/1.0.0-aaaaaaaa\0"
    said_by(proc, "7", 4242, words)
    assert live_slots(folder, proc=proc) == frozenset()
    assert live_slots(folder, "no-such-user", proc) == frozenset()
    said_by(proc, "8", pwd.getpwnam("daemon").pw_uid, words)
    assert live_slots(folder, proc=proc) == frozenset()
    assert slot_users(folder, "daemon", proc) == {"1.0.0-aaaaaaaa": 8}
    said_by(proc, "9", 0, f"{folder}/1.1.0-bbbbbbbb")
    assert slot_users(folder, proc=proc) == {"1.1.0-bbbbbbbb": 9}


def test_a_look_that_hangs_keeps_everything_and_no_second_one_begins(folder: Path) -> None:
    """A process that waits for a dead disk may show its maps never."""
    free, begun = threading.Event(), []

    def look(_folder: Path, _user: str) -> frozenset[str]:
        begun.append(1)
        free.wait()
        return frozenset()

    lookout = Lookout(look, 0.05)
    store = SlotStore(folder.parent.parent, product="shop", lookout=lookout)
    kept = InUse(folder / "1.1.0-bbbbbbbb", None, None, None)
    assert store.prune(kept) == ()
    assert store.prune(kept) == ()
    assert len(begun) == 1
    free.set()
    lookout._thread.join()
    assert [path.name for path in store.prune(kept)] == ["1.0.0-aaaaaaaa"]
