"""The contract's gates: what they refuse is refused, and the table of rights is the one that was agreed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from fleetroll.v1 import options_pb2
from tools.house import contract, docs, drift, roles

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = {"ROLE_VIEWER", "ROLE_OPERATOR", "ROLE_ADMIN"}
SCOPES = {
    f"{noun}.{verb}"
    for noun in ("releases", "rollouts", "agents", "policy", "access", "server")
    for verb in ("read", "write")
} | {"audit.read", "alerts.write"}

BARE = 'syntax = "proto3";\n\npackage fleetroll.v1;\n\n// Bare has a field.\nmessage Bare {\n'


@pytest.fixture(scope="module")
def image() -> FileDescriptorSet:
    return contract.image()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def buf(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "buf"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_every_rpc_declares_a_role_and_people_need_a_scope(image: FileDescriptorSet) -> None:
    wrong = [
        rpc.path
        for rpc in contract.rpcs(image)
        if rpc.role in ("", "ROLE_UNSPECIFIED") or (rpc.scope not in SCOPES if rpc.role in PEOPLE else rpc.scope)
    ]
    assert not wrong


def test_the_table_of_rights_is_the_committed_one(image: FileDescriptorSet) -> None:
    assert roles.table(image) == json.loads(roles.TABLE.read_text("utf-8")), "review the change, then `make roles`"


@pytest.mark.parametrize("change", ["role", "scope", "option"])
def test_a_change_of_rights_is_noticed(image: FileDescriptorSet, change: str) -> None:
    changed = FileDescriptorSet.FromString(image.SerializeToString())
    method = next(file for file in contract.own_files(changed) if file.service).service[0].method[0]
    access = method.options.Extensions[options_pb2.access]
    if change == "role":
        access.role = options_pb2.ROLE_PUBLIC
    elif change == "scope":
        access.scope = "server.write"
    else:
        method.options.ClearExtension(options_pb2.access)
    assert roles.table(changed) != roles.table(image)


def test_a_removed_field_breaks_the_breaking_gate(scratch: Path) -> None:
    baseline = str(ROOT / "protos" / "baseline.binpb")
    assert buf(scratch, "breaking", "--against", baseline).returncode == 0
    edit(scratch / "protos" / "fleetroll" / "v1" / "types.proto", " = 1;", " = 901;")
    assert buf(scratch, "breaking", "--against", baseline).returncode != 0


@pytest.mark.parametrize("comment", ["", "  // buf:lint:ignore COMMENT_FIELD\n"], ids=["bare", "ignore is not obeyed"])
def test_an_uncommented_field_breaks_the_lint(scratch: Path, comment: str) -> None:
    assert buf(scratch, "lint").returncode == 0
    path = scratch / "protos" / "fleetroll" / "v1" / "bare.proto"
    path.write_text(f"{BARE}{comment}  string name = 1;\n}}\n", "utf-8")
    assert "non-empty comment" in buf(scratch, "lint").stdout


def test_drift_names_stale_missing_and_changed_files_and_keeps_the_marker() -> None:
    committed = {"a.py": b"1", "old.py": b"1", "fleetroll/v1/py.typed": b""}
    assert drift.differences(committed, {"a.py": b"2", "new.py": b"1"}) == [
        "a.py: differs",
        "new.py: not in generated/",
        "old.py: no longer generated",
    ]
    assert drift.differences(committed, {"a.py": b"1", "old.py": b"1"}) == []


@pytest.mark.parametrize("page", docs.PAGES)
def test_generated_pages_are_fresh(page: str, image: FileDescriptorSet) -> None:
    assert docs.PAGES[page](image) == (docs.DOCS / page).read_text("utf-8"), "run `make docs` and commit the result"


def test_the_reference_describes_every_rpc(image: FileDescriptorSet) -> None:
    text = (docs.DOCS / "reference" / "rpc.md").read_text("utf-8")
    described = {(service, line[4:]) for service, line in _sections(text)}
    assert described == {tuple(rpc.path[1:].split("/")) for rpc in contract.rpcs(image)}
    assert all(rpc.comment for rpc in contract.rpcs(image))


def _sections(text: str) -> list[tuple[str, str]]:
    service, found = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            service = line[3:]
        elif line.startswith("### "):
            found.append((service, line))
    return found
