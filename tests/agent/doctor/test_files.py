"""The host's files: a disk that takes nothing, records that can't be believed, places that can't be replaced, drift."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.jobs.journal import HEAD, Journal
from fleetroll_agent.jobs.values import Attempt, Report, Said, Stage, Step
from fleetroll_agent.jobs.work import Installed
from fleetroll_common.values.ids import SystemIds
from tests.faults.apart import doctor_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_agent.doctor.values import Finding
    from tests.faults.whole_host import WholeHost

    Protect = Callable[[str, Path], None]


def found(host: WholeHost, sign: str, count: int = 1) -> Finding:
    """Return the first of the findings, all of which have this sign."""
    findings = host.look().findings
    assert [finding.sign.value for finding in findings] == [sign] * count
    return findings[0]


@pytest.fixture
def protect() -> Iterator[Protect]:
    """Give a way to protect files whatever their modes, which is lifted in the end."""
    protected: list[tuple[str, Path]] = []

    def chattr(flag: str, path: Path) -> None:
        subprocess.run(["chattr", f"+{flag}", path], check=True)
        protected.append((flag, path))

    yield chattr
    for flag, path in protected:
        subprocess.run(["chattr", f"-{flag}", path], check=True)


def test_a_state_folder_on_a_read_only_mount_is_one_finding(host: WholeHost) -> None:
    """Not one for each folder in it."""
    mounts = f"mount --bind {host.state} {host.state}; mount -o remount,bind,ro {host.state}"
    findings = doctor_apart(mounts, host.state, host.root)
    assert [finding["code"] for finding in findings] == ["STATE_UNWRITABLE"]
    assert "mounted read-only" in findings[0]["message"]
    assert f"findmnt -T {host.state}" in findings[0]["remedy"]


@pytest.mark.parametrize("name", ["products", "identity", "journal", "boot.json", "products/shop.json"])
def test_a_folder_or_record_that_is_protected_is_told(host: WholeHost, protect: Protect, name: str) -> None:
    """Root is refused there as well, whatever the mode says."""
    protect("i", host.state / name)
    finding = found(host, "STATE_UNWRITABLE")
    assert finding.subject == str(host.state / name)
    assert "chattr -i" in finding.message


def test_a_disk_without_room_is_told(host: WholeHost) -> None:
    """Below what records, journal and logs need whatever becomes of an update."""
    state = host.root / "small"
    state.mkdir()
    mounts = f"mount -t tmpfs -o size=2m none {state}; cp -a {host.state}/. {state}/"
    findings = doctor_apart(mounts, state, host.root)
    full = next(finding for finding in findings if finding["code"] == "DISK_FULL")
    assert "16 MiB are the least" in full["message"]


def test_a_file_that_has_no_room_for_the_next_one_beside_it_is_told(host: WholeHost) -> None:
    """It may be on another disk than the state folder."""
    folder = host.tool.parent
    mounts = f"""
    cp {host.tool} {host.root}/kept; mount -t tmpfs -o size=16k,mode=0755 none {folder}; cp {host.root}/kept {host.tool}
    head -c 8192 /dev/zero >{folder}/ballast; head -c 8192 /dev/zero >{folder}/more 2>/dev/null || true
    """
    findings = doctor_apart(mounts, host.state, host.root)
    assert [(finding["code"], finding["subject"]) for finding in findings] == [("DISK_FULL", "tool")]


def test_a_disk_without_inodes_is_told(host: WholeHost) -> None:
    """It has bytes enough."""
    state = host.root / "few"
    state.mkdir()
    mounts = f"mount -t tmpfs -o size=64m,nr_inodes=250 none {state}; cp -a {host.state}/identity {state}/"
    codes = [finding["code"] for finding in doctor_apart(mounts, state, host.root)]
    assert "INODES_FULL" in codes
    assert "DISK_FULL" not in codes


def test_a_damaged_boot_record_is_told_and_whether_its_replacement_is_whole(host: WholeHost) -> None:
    """The launcher goes on with either."""
    path = host.state / "boot.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert found(host, "BOOT_RECORD_DAMAGED").message == "boot.json is damaged"
    (host.state / "boot.json.new").write_bytes(whole)
    assert "its replacement is whole" in found(host, "BOOT_RECORD_DAMAGED").message


@pytest.mark.parametrize("product", ["agent", "shop"])
def test_a_products_damaged_record_is_told_by_name(host: WholeHost, product: str) -> None:
    """What is installed is not known then, where it is no agent."""
    (host.state / "products" / f"{product}.json").write_text("{}")
    finding = found(host, "RECORD_DAMAGED")
    assert finding.subject == product
    assert ("fleetroll-agent update shop" in finding.remedy) == (product == "shop")


def test_a_lost_or_damaged_memory_of_the_repository_is_told(host: WholeHost) -> None:
    """Without it every update is refused; a host that has no memory at all is new."""
    floor = host.state / "trust" / "floor.json"
    floor.write_text("{}")
    assert "is damaged" in found(host, "TRUST_DAMAGED").message
    floor.unlink()
    assert host.signs() == []
    (host.state / "trust" / "root.json").write_text("{}")
    assert "is lost" in found(host, "TRUST_DAMAGED").message


def _cut_head(host: WholeHost) -> None:
    (host.state / "journal" / HEAD).write_text("{}")


def _lose_head(host: WholeHost) -> None:
    (host.state / "journal" / HEAD).unlink()


def _tear_inside(host: WholeHost) -> None:
    path = host.state / "journal" / "000000000001.log"
    path.write_bytes(path.read_bytes().replace(b"OFFERED", b"OFFERER", 1))
    (host.state / "journal" / "000000000007.log").write_bytes(b"")


@pytest.mark.parametrize("spoil", [_cut_head, _lose_head, _tear_inside])
def test_a_journal_that_the_next_start_would_put_aside_is_told(
    host: WholeHost, spoil: Callable[[WholeHost], None]
) -> None:
    """What is told and what the agent does then agree; after it the file that was put aside is told."""
    before = Journal(host.state / "journal", SystemIds()).journal_id
    spoil(host)
    assert set(host.signs()) == {"JOURNAL_DAMAGED"}
    assert Journal(host.state / "journal", SystemIds()).journal_id != before
    assert "000000000001.damaged" in found(host, "SET_ASIDE").message


def test_a_journal_that_begins_later_or_has_a_torn_last_line_is_whole(host: WholeHost) -> None:
    """Segments leave by themselves, and the next write takes the line away."""
    folder = host.state / "journal"
    before = Journal(folder, SystemIds()).journal_id
    with (folder / "000000000001.log").open("ab") as segment:
        segment.write(b"0badc0de {")
    assert host.signs() == []
    assert Journal(folder, SystemIds()).journal_id == before
    journal = Journal(folder, SystemIds())
    journal.append("shop", [Report(3, 1.0, 3, Said.FAILED)])
    assert host.signs() == []


def test_a_journal_that_is_no_folder_is_told(host: WholeHost) -> None:
    """The agent can't start then."""
    subprocess.run(["rm", "-r", host.state / "journal"], check=True)
    (host.state / "journal").write_text("a file")
    assert "JOURNAL_DAMAGED" in host.signs()


@pytest.mark.parametrize("flag", ["i", "a"])
@pytest.mark.parametrize("what", ["the file", "its folder", "the one before"])
def test_a_file_that_can_not_be_replaced_is_told_before_the_update(
    host: WholeHost, protect: Protect, flag: str, what: str
) -> None:
    """And the update that is tried all the same says what to do."""
    old = host.tool.with_name("tool.old")
    old.write_text("before")
    protect(flag, {"the file": host.tool, "its folder": host.tool.parent, "the one before": old}[what])
    finding = found(host, "REPLACE_DENIED")
    assert (finding.subject, f"chattr -{flag}" in finding.message) == ("tool", True)


def test_a_file_on_a_read_only_mount_or_mounted_itself_is_told(host: WholeHost) -> None:
    """Nothing can be renamed over a mount, writable as it is."""
    folder, tool = host.tool.parent, host.tool
    read_only = f"mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}"
    findings = doctor_apart(read_only, host.state, host.root)
    assert [finding["code"] for finding in findings] == ["REPLACE_DENIED"]
    assert "mounted read-only" in findings[0]["message"]
    findings = doctor_apart(f"mount --bind {tool} {tool}", host.state, host.root)
    assert [finding["code"] for finding in findings] == ["REPLACE_DENIED"]
    assert "a mount of its own" in findings[0]["message"]


def test_a_link_whose_folder_is_protected_or_gone_is_told(host: WholeHost, protect: Protect) -> None:
    """The next version could not be shown to the world."""
    protect("i", host.link.parent)
    assert found(host, "REPLACE_DENIED").subject == "shop"


def test_something_else_in_the_place_of_a_link_or_file_is_told(host: WholeHost) -> None:
    """It is left as it is, and so every switch fails."""
    host.link.unlink()
    host.link.mkdir()
    assert "is no link" in found(host, "PLACE_TAKEN").message
    host.link.rmdir()
    host.link.symlink_to(host.slot("shop"))
    host.tool.unlink()
    host.tool.mkdir()
    assert "is no plain file" in found(host, "PLACE_TAKEN").message


@pytest.mark.parametrize("product", ["tool", "shop"])
@pytest.mark.parametrize(
    ("owner", "mode", "why"), [(65534, 0o755, "uid 65534"), (0, 0o775, "0775"), (0, 0o1777, "1777")]
)
def test_a_folder_that_others_can_change_is_told(
    host: WholeHost, product: str, owner: int, mode: int, why: str
) -> None:
    """They can put something else in the product's place, at any time."""
    folder = (host.tool if product == "tool" else host.link).parent
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    finding = found(host, "PLACE_OPEN")
    assert (finding.subject, finding.severity.value) == (product, "warning")
    assert f"{folder} " in finding.message
    assert why in finding.message


@pytest.mark.parametrize("product", ["tool", "shop"])
def test_a_way_that_the_update_will_refuse_is_told_before(host: WholeHost, product: str) -> None:
    """A link that is not root's."""
    folder = (host.tool if product == "tool" else host.link).parent
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")
    assert host.signs() == []
    os.chown(folder, 65534, 65534, follow_symlinks=False)
    finding = found(host, "REPLACE_DENIED")
    assert (finding.subject, f"chown -h root {folder}" in finding.remedy) == (product, True)


def test_a_file_with_a_name_elsewhere_is_told(host: WholeHost) -> None:
    """The update refuses to take over its owner and mode."""
    (host.root / "other").hardlink_to(host.tool)
    assert "2 names (hard links)" in found(host, "REPLACE_DENIED").message


@pytest.mark.parametrize("product", ["agent", "shop"])
def test_a_missing_artefact_is_told_with_what_it_means(host: WholeHost, product: str) -> None:
    """The current version can't be started again, the one before is no way back."""
    (host.slot(product, "previous") / "COMPLETE").unlink()
    finding = found(host, "SLOT_MISSING")
    assert (finding.subject, "no way back" in finding.remedy) == (product, True)
    (host.slot(product) / "COMPLETE").unlink()
    assert "bring it again" in found(host, "SLOT_MISSING", 2).remedy


@pytest.mark.parametrize("product", ["agent", "shop", "tool"])
def test_a_version_that_is_not_as_it_was_signed_is_told(host: WholeHost, product: str) -> None:
    """By the bytes, and with the names of what changed."""
    path = host.slot(product, "previous") / "pkg" / "data.bin"
    path.chmod(0o644)
    path.write_bytes(b"changed")
    finding = found(host, "SLOT_CHANGED")
    assert finding.subject == product
    assert "pkg/data.bin" in finding.message


def test_a_file_that_somebody_replaced_or_removed_is_told(host: WholeHost) -> None:
    """With the copy that mends it."""
    host.tool.write_text("hacked")
    finding = found(host, "FILE_CHANGED")
    assert f"cp {host.slot('tool')}/entry.py {host.tool}" in finding.remedy
    host.tool.unlink()
    assert "is gone" in found(host, "FILE_CHANGED").message


def test_a_link_that_leads_elsewhere_or_is_gone_is_told(host: WholeHost) -> None:
    """With the command that mends it."""
    host.link.unlink()
    assert "is gone" in found(host, "LINK_ASTRAY").message
    host.link.symlink_to(host.slot("shop", "previous"))
    assert f"ln -sfn {host.slot('shop')} {host.link}" in found(host, "LINK_ASTRAY").remedy


def test_a_product_in_the_middle_of_an_update_is_not_judged(host: WholeHost) -> None:
    """Its link leads to the version that has to prove itself."""
    host.link.unlink()
    host.link.symlink_to(host.slot("shop", "previous"))
    host.change("shop", attempt=Attempt(3, "2.2.0", stage=Stage.SOAKING, step=Step.HEALTH, sha256="b" * 64))
    assert host.signs() == []


def test_a_product_of_which_nothing_is_installed_is_no_fault(host: WholeHost) -> None:
    """It waits for its first version."""
    host.link.unlink()
    host.change("shop", current=None, previous=None)
    assert host.signs() == []


def test_an_installed_version_that_is_none_fails_its_check_alone(host: WholeHost) -> None:
    """A record that another program wrote."""
    host.change("shop", current=Installed("not a version", "c" * 64))
    assert set(host.signs()) == {"CHECK_FAILED"}


@contextlib.contextmanager
def old_version(folder: Path) -> Iterator[tuple[Path, int]]:
    """Give a slot that no record knows, with a process that works in it, and its pid."""
    slot = folder / "0.1.0-cccccccc"
    slot.mkdir(parents=True)
    waits, pipe = ("/bin/sh", "-c", "echo; read line"), subprocess.PIPE
    with subprocess.Popen(waits, stdin=pipe, stdout=pipe, cwd=slot) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield slot, process.pid
        process.communicate()


@pytest.mark.parametrize("product", ["agent", "shop", "tool"])
def test_an_old_version_that_a_process_keeps_is_told_with_its_pid(host: WholeHost, product: str) -> None:
    """What nobody uses goes with the next update, and is no finding."""
    with old_version(host.state / "slots" / product) as (slot, pid):
        finding = found(host, "SLOT_KEPT")
        assert finding.subject == product
        assert slot.name in finding.message
        assert f"process {pid} " in finding.message
    assert host.signs() == []
