"""Slots: what makes one, what is left after a crash anywhere, what is never removed."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.slots import InUse, Mark, SlotStore
from fleetroll_agent.slots.disk import RealDisk, remove_tree
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.version import Version
from tests.faults.archives import CONTENT
from tests.faults.slot_bench import Bench, Crash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


V = Version.parse


@pytest.fixture(autouse=True)
def _open_again(tmp_path: Path) -> Iterator[None]:
    yield
    remove_tree(RealDisk(), tmp_path / "state")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_slot_stands_under_its_version_and_the_start_of_its_digest(bench: Bench) -> None:
    slot = bench.install("1.1.0", sha256="0123456789abcdef" * 4)
    assert slot.path == bench.state / "slots" / "agent" / "1.1.0-01234567"
    assert slot.path == bench.store.path(V("1.1.0"), "0123456789abcdef" * 4)


def test_complete_says_what_the_launcher_has_to_know(bench: Bench) -> None:
    slot = bench.install()
    custom = bench.archive.custom()
    assert json.loads((slot.path / "COMPLETE").read_bytes()) == {
        "version": "1.1.0",
        "sha256": bench.sha256("1.1.0"),
        "tar_sha256": custom.tar_sha256,
        "manifest_sha256": custom.manifest_sha256,
        "entry": "entry.py",
        "interpreter_abi": "cp311",
    }


def test_a_slot_is_found_by_version_and_whole_digest(bench: Bench) -> None:
    slot = bench.install(sha256="ab" * 32)
    assert bench.store.find(V("1.1.0"), "ab" * 32) == slot
    assert bench.store.find(V("1.1.0"), "ab" * 4 + "00" * 28) is None
    assert bench.store.find(V("1.2.0"), "ab" * 32) is None


def test_a_draft_is_no_slot(bench: Bench) -> None:
    draft = bench.store.begin(V("1.1.0"), "a" * 64)
    (draft / "COMPLETE").write_text(json.dumps({"version": "1.1.0"}))
    assert bench.store.list() == ()
    with pytest.raises(AgentError) as caught:
        bench.store.get(draft)
    assert caught.value.code == "NOT_FOUND"


def test_a_store_without_any_slot_is_empty(bench: Bench) -> None:
    assert bench.store.list() == ()
    assert bench.store.prune(InUse(bench.state, bench.state)) == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": "1.1.0"}', "null"])
def test_a_folder_with_a_damaged_complete_is_no_slot_and_is_replaced(bench: Bench, text: str) -> None:
    slot = bench.install()
    complete = slot.path / "COMPLETE"
    complete.unlink()
    complete.write_text(text)
    assert bench.store.list() == ()
    assert bench.install() == slot
    assert bench.store.check(slot.path).is_clean


def test_slots_are_listed_from_the_oldest_version_on(bench: Bench) -> None:
    for version in ("1.10.0", "1.9.0", "1.10.0-rc.1"):
        bench.install(version)
    assert [str(slot.version) for slot in bench.store.list()] == ["1.9.0", "1.10.0-rc.1", "1.10.0"]


def test_a_complete_slot_is_never_written_over(bench: Bench) -> None:
    bench.install()
    with pytest.raises(AgentError) as caught:
        bench.install()
    assert caught.value.code == "ALREADY_EXISTS"


def test_another_artefact_whose_digest_begins_alike_does_not_replace_a_slot(bench: Bench) -> None:
    slot = bench.install(sha256="ab" * 32)
    with pytest.raises(AgentError) as caught:
        bench.install(sha256="ab" * 4 + "00" * 28)
    assert caught.value.code == "ALREADY_EXISTS"
    assert bench.store.list() == (slot,)


def test_begin_throws_an_older_draft_away(bench: Bench) -> None:
    draft = bench.store.begin(V("1.1.0"), "a" * 64)
    (draft / "left").write_text("over")
    assert bench.store.begin(V("1.1.0"), "a" * 64) == draft
    assert list(draft.iterdir()) == []


def test_discard_removes_a_draft(bench: Bench) -> None:
    draft = bench.store.begin(V("1.1.0"), "a" * 64)
    (draft / "pkg").mkdir()
    (draft / "pkg" / "left").write_text("over")
    bench.store.discard(draft)
    assert not draft.exists()


def test_a_complete_slot_is_closed_to_writing_except_for_its_hints(bench: Bench) -> None:
    slot = bench.install()
    assert mode(slot.path / "pkg") == 0o555
    assert {mode(path) for path in slot.path.rglob("*") if path.is_file()} == {0o444}
    bench.store.mark_good(slot.path)
    assert bench.store.get(slot.path).good


# --- the order of things ---------------------------------------------------------------------------------------------


def test_everything_is_durable_before_the_next_step_begins(bench: Bench) -> None:
    slot = bench.install()
    name = f"slots/agent/{slot.path.name}"
    draft = f"slots/agent/.draft-{slot.path.name}"
    calls = [call for call in bench.disk.calls if call[0] != "chmod"]
    synced = {("fsync_file", f"{draft}/{path}") for path in [*CONTENT, "MANIFEST"]}
    synced |= {("fsync_dir", path) for path in (draft, f"{draft}/pkg", "slots", ".")}
    moved = calls.index(("rename", name))
    assert synced <= set(calls[:moved])
    assert calls[moved:] == [
        ("rename", name),
        ("fsync_dir", "slots/agent"),
        ("write_file", f"{name}/COMPLETE.new"),
        ("fsync_file", f"{name}/COMPLETE.new"),
        ("rename", f"{name}/COMPLETE"),
        ("fsync_dir", name),
    ]


def test_a_folder_is_synced_after_what_is_in_it(bench: Bench) -> None:
    slot = bench.install()
    draft = f"slots/agent/.draft-{slot.path.name}"
    order = [path for call, path in bench.disk.calls if call.startswith("fsync") and path.startswith(draft)]
    assert order.index(f"{draft}/pkg/data.bin") < order.index(f"{draft}/pkg") < order.index(draft)


def test_a_crash_anywhere_leaves_no_slot_or_the_whole_slot(bench: Bench) -> None:
    crashes = _crash_everywhere(bench)
    assert crashes >= 15


def _crash_everywhere(bench: Bench) -> int:
    for crashes in range(1000):
        try:
            bench.install(store=bench.crashing(crashes))
        except Crash:
            pass
        else:
            return crashes
        for slot in bench.store.list():
            assert bench.store.check(slot.path).is_clean
            bench.store.prune(InUse(bench.state, bench.state))
        installed = bench.install()
        assert bench.store.list() == (installed,)
        assert bench.store.check(installed.path).is_clean
        bench.store.prune(InUse(bench.state, bench.state))
        assert bench.store.list() == ()
    raise AssertionError


def test_a_crash_anywhere_during_removal_leaves_no_half_slot(bench: Bench) -> None:
    kept = bench.install("1.0.0")
    for crashes in range(1000):
        bench.install()
        try:
            bench.crashing(crashes).prune(InUse(kept.path, kept.path))
        except Crash:
            pass
        else:
            assert crashes > 8
            return
        assert all(bench.store.check(slot.path).is_clean for slot in bench.store.list())
        bench.store.prune(InUse(kept.path, kept.path))
        assert bench.store.list() == (kept,)


def test_complete_is_removed_durably_before_anything_else(bench: Bench) -> None:
    slot = bench.install()
    bench.disk.calls.clear()
    bench.store.prune(InUse(bench.state, bench.state))
    name = f"slots/agent/{slot.path.name}"
    assert bench.disk.calls[:2] == [("unlink", f"{name}/COMPLETE"), ("fsync_dir", name)]
    assert bench.disk.calls[-1] == ("fsync_dir", "slots/agent")


# --- removal ---------------------------------------------------------------------------------------------------------


def test_removal_spares_every_slot_in_use_and_the_draft(bench: Bench) -> None:
    paths = [bench.install(f"1.{number}.0").path for number in range(7)]
    draft = bench.store.begin(V("2.0.0"), "a" * 64)
    stale = bench.store.begin(V("3.0.0"), "a" * 64)
    in_use = InUse(paths[0], paths[1], previous=paths[2], trial=paths[3], draft=draft, others=(paths[4],))
    assert bench.store.prune(in_use) == (stale, paths[5], paths[6])
    assert [slot.path for slot in bench.store.list()] == paths[:5]
    assert draft.is_dir()


def test_a_slot_in_use_is_known_by_its_name_however_its_path_is_spelled(bench: Bench, tmp_path: Path) -> None:
    slot = bench.install()
    (tmp_path / "alias").symlink_to(bench.state)
    spelled = tmp_path / "alias" / "slots" / ".." / "slots" / "agent" / slot.path.name
    assert bench.store.prune(InUse(spelled, spelled)) == ()


def test_removal_follows_no_link(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("data")
    slot = bench.install()
    (slot.path / "link").symlink_to(victim)
    (slot.path.parent / "linked-slot").symlink_to(victim)
    bench.store.prune(InUse(bench.state, bench.state))
    assert (victim / "precious").read_text() == "data"
    assert list(slot.path.parent.iterdir()) == []


# --- hints -----------------------------------------------------------------------------------------------------------


def test_hints_are_durable_and_can_be_taken_away(bench: Bench) -> None:
    path = bench.install().path
    bench.store.mark_good(path)
    bench.disk.calls.clear()
    bench.store.unmark(path, Mark.GOOD)
    bench.store.mark_bad(path)
    name = f"slots/agent/{path.name}"
    assert bench.disk.calls == [
        ("unlink", f"{name}/GOOD"),
        ("fsync_dir", name),
        ("write_file", f"{name}/BAD"),
        ("fsync_file", f"{name}/BAD"),
        ("fsync_dir", name),
    ]
    slot = bench.store.get(path)
    assert (slot.good, slot.bad) == (False, True)


def test_a_hint_that_is_there_already_is_synced_again(bench: Bench) -> None:
    path = bench.install().path
    bench.store.mark_good(path)
    bench.disk.calls.clear()
    bench.store.mark_good(path)
    assert [name for name, _path in bench.disk.calls] == ["fsync_file", "fsync_dir"]


def test_taking_away_a_hint_that_is_not_there_changes_nothing(bench: Bench) -> None:
    path = bench.install().path
    bench.store.unmark(path, Mark.BAD)
    assert not bench.store.get(path).bad


# --- drift -----------------------------------------------------------------------------------------------------------


def writable(path: Path) -> Path:
    path.parent.chmod(0o755)
    if path.exists():
        path.chmod(0o644)
    return path


def test_a_slot_as_signed_has_no_drift_hints_included(bench: Bench) -> None:
    slot = bench.install()
    bench.store.mark_good(slot.path)
    bench.store.mark_bad(slot.path)
    drift = bench.store.check(slot.path)
    assert drift.is_clean
    assert drift.summary == "as signed"


def test_changed_missing_and_extra_files_are_named(bench: Bench) -> None:
    slot = bench.install()
    writable(slot.path / "pkg" / "data.bin").write_bytes(b"changed")
    writable(slot.path / "entry.py").unlink()
    (slot.path / "pkg" / "__pycache__").mkdir()
    (slot.path / "pkg" / "__pycache__" / "evil.pyc").write_bytes(b"")
    drift = bench.store.check(slot.path)
    assert drift.changed == ("pkg/data.bin",)
    assert drift.missing == ("entry.py",)
    assert drift.extra == ("pkg/__pycache__", "pkg/__pycache__/evil.pyc")
    assert drift.summary == (
        "1 changed (pkg/data.bin); 1 missing (entry.py); 2 extra (pkg/__pycache__, pkg/__pycache__/evil.pyc)"
    )


def test_a_file_of_the_same_length_with_one_other_bit_is_drift(bench: Bench) -> None:
    slot = bench.install()
    path = writable(slot.path / "pkg" / "data.bin")
    path.write_bytes(CONTENT["pkg/data.bin"][:-1] + b"\xfe")
    assert bench.store.check(slot.path).changed == ("pkg/data.bin",)


def test_a_link_with_the_right_content_behind_it_is_drift(bench: Bench, tmp_path: Path) -> None:
    slot = bench.install()
    (tmp_path / "copy").write_bytes(CONTENT["entry.py"])
    (slot.path / "entry.py").unlink()
    (slot.path / "entry.py").symlink_to(tmp_path / "copy")
    assert bench.store.check(slot.path).changed == ("entry.py",)


@pytest.mark.parametrize("bits", [0o555, 0o4444, 0o2444, 0o400])
def test_another_mode_is_drift(bench: Bench, bits: int) -> None:
    slot = bench.install()
    (slot.path / "entry.py").chmod(bits)
    assert bench.store.check(slot.path).changed == ("entry.py",)


def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_drift(bench: Bench) -> None:
    slot = bench.install()
    writable(slot.path / "entry.py").unlink()
    (slot.path / "entry.py").mkdir()
    remove_tree(RealDisk(), slot.path / "pkg")
    (slot.path / "pkg").write_bytes(b"")
    drift = bench.store.check(slot.path)
    assert drift.changed == ("entry.py", "pkg")
    assert drift.missing == ("pkg/__init__.py", "pkg/data.bin")


@pytest.mark.parametrize("text", [b"", b"{}", None])
def test_a_manifest_that_is_not_the_signed_one_is_drift_of_the_manifest(bench: Bench, text: bytes | None) -> None:
    slot = bench.install()
    manifest = writable(slot.path / "MANIFEST")
    if text is None:
        manifest.unlink()
    else:
        manifest.write_bytes(text)
    assert bench.store.check(slot.path).changed == ("MANIFEST",)


def test_drift_of_something_that_is_no_slot_is_an_error(bench: Bench) -> None:
    with pytest.raises(AgentError) as caught:
        bench.store.check(bench.state / "slots" / "agent" / "9.9.9-00000000")
    assert caught.value.code == "NOT_FOUND"


# --- a host that fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "code"), [(errno.ENOSPC, "DISK_FULL"), (errno.EIO, "INTERNAL")])
def test_a_disk_that_fails_is_named_and_leaves_no_slot(bench: Bench, fault: int, code: str) -> None:
    class Failing(RealDisk):
        def fsync_dir(self, path: Path) -> None:
            raise OSError(fault, "fault", str(path))

    with pytest.raises(AgentError) as caught:
        bench.install(store=SlotStore(bench.state, Failing()))
    assert caught.value.code == code
    assert bench.store.list() == ()
    assert bench.install().path.is_dir()


def test_a_pipe_in_the_place_of_a_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused: list[OSError] = []

    def read() -> None:
        try:
            RealDisk().read_file(tmp_path / "pipe")
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10.0)
    assert len(refused) == 1
