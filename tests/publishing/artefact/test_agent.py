"""The agent's artefact: what is inside, what is not, and that it runs with nothing else around it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from fleetroll_agent.slots.disk import RealDisk, remove_tree
from fleetroll_agent.unpack import unpack
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.manifest import Manifest
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import ReleaseCustom
from fleetroll_common.values.ustar import size_of
from fleetroll_common.values.version import Version
from fleetroll_publishing.artefact import BuiltArtefact, build_agent_artefact, inspect_artefact
from fleetroll_publishing.artefact import agent as agent_module
from fleetroll_publishing.artefact.allowed import AGENT_DISTRIBUTIONS, Allowed, add_distribution
from fleetroll_publishing.artefact.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = datetime(2026, 1, 1, tzinfo=UTC)
SHA = "a" * 40


def build(out: Path, version: str = "1.1.0", source: Path = ROOT) -> BuiltArtefact:
    return build_agent_artefact(
        out, Version.parse(version), SHA, Platform.current(), source=source, built_at=COMMITTED, level=1
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltArtefact:
    return build(tmp_path_factory.mktemp("artefact") / "agent.tar.zst")


@pytest.fixture(scope="module")
def paths(built: BuiltArtefact) -> list[str]:
    tar = zstandard.ZstdDecompressor().decompress(built.path.read_bytes())
    return [entry.path for entry in Manifest.parse(tar[512 : 512 + size_of(tar)]).files]


@pytest.fixture(scope="module")
def slot(built: BuiltArtefact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    custom = ReleaseCustom(
        product="agent",
        version=Version.parse("1.1.0"),
        channels=("stable",),
        platform=Platform.current(),
        git_sha=SHA,
        tar_sha256=built.tar_sha256,
        tar_bytes=built.tar_bytes,
        manifest_sha256=built.manifest_sha256,
        file_count=built.file_count,
        entry_point=built.entry_point,
        protocol=1,
        migrations_required=False,
        breaking_changes=None,
        released_at=COMMITTED,
    )
    folder = tmp_path_factory.mktemp("slot")
    unpack(built.path, folder, expected=custom, platform=Platform.current())
    yield folder
    remove_tree(RealDisk(), folder)


def run(slot: Path, code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with the slot as the only folder beside the standard library."""
    command = [
        sys.executable,
        *flags,
        "-I",
        "-S",
        "-B",
        "-W",
        "error",
        "-c",
        f"import sys\nsys.path.insert(0, {str(slot)!r})\n{code}",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_no_server_console_or_publishing_code_reaches_a_host(paths: list[str], slot: Path) -> None:
    roots = {path.split("/")[0] for path in paths}
    forbidden = "fleetroll_server fleetroll_cli fleetroll_client fleetroll_publishing fleetroll_tui fleetroll_simulator"
    libraries = "sqlalchemy sqlmodel textual typer pydantic pydantic_core alembic aiosqlite asyncpg cryptography rich"
    assert not roots & {*forbidden.split(), *libraries.split()}
    assert {"fleetroll", "fleetroll_agent", "fleetroll_common", "entry.py"} <= roots
    assert sorted(path.name for path in slot.iterdir()) == sorted(roots | {"MANIFEST"})


def test_only_listed_distributions_are_inside(paths: list[str]) -> None:
    named = {path.split("-")[0].lower() for path in paths if ".dist-info/" in path}
    assert named == {allowed.name.lower() for allowed in AGENT_DISTRIBUTIONS if allowed.is_needed()}


def test_the_reader_of_toml_travels_to_3_10_alone() -> None:
    """From 3.11 on the standard library has it."""
    by_version = {
        minor: {allowed.name for allowed in AGENT_DISTRIBUTIONS if allowed.is_needed((3, minor))} for minor in (10, 11)
    }
    assert by_version[10] - by_version[11] == {"tomli"}
    assert by_version[11] <= by_version[10]


def test_licences_of_the_libraries_travel_along(paths: list[str]) -> None:
    for allowed in filter(Allowed.is_needed, AGENT_DISTRIBUTIONS):
        own = [path for path in paths if path.lower().startswith(f"{allowed.name}-") and ".dist-info/" in path]
        assert any("LICENSE" in path for path in own), allowed.name


def test_nothing_that_only_builders_and_installers_read_is_inside(paths: list[str]) -> None:
    endings = (".pyi", ".pth", ".c", ".h", ".pyx", "/RECORD", "/INSTALLER", "/direct_url.json", "/WHEEL")
    assert [path for path in paths if path.endswith(endings)] == []
    assert [path for path in paths if "/tests/" in path or path.startswith("bin/")] == []


def test_no_path_of_the_building_machine_is_inside(slot: Path) -> None:
    places = {str(ROOT).encode(), sys.prefix.encode()}
    for path in slot.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [place for place in places if place in data], path


def test_every_module_of_ours_imports_with_nothing_else_around(slot: Path) -> None:
    modules = [
        ".".join(path.relative_to(slot).with_suffix("").parts).removesuffix(".__init__")
        for root in ("fleetroll", "fleetroll_common", "fleetroll_agent")
        for path in sorted((slot / root).rglob("*.py"))
        if path.stem != "__main__"
    ]
    assert len(modules) > 40
    done = run(slot, f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\nprint('all')")
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr


def test_the_libraries_that_are_loaded_come_from_the_slot(slot: Path) -> None:
    code = (
        "import grpc.aio, google.protobuf.message, nacl.signing, nacl.secret, tuf.ngclient, securesystemslib.signer,"
        " zstandard, structlog\n"
        "print([m.__name__ for m in sys.modules.values() if 'site-packages' in (getattr(m, '__file__', '') or '')])"
    )
    done = run(slot, code)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_no_module_is_compiled_when_an_agent_starts(slot: Path) -> None:
    done = run(slot, "import fleetroll_agent.app, fleetroll_agent.daemon, fleetroll_agent.self_check", "-v")
    assert done.returncode == 0
    loaded = [line for line in done.stderr.splitlines() if line.startswith("# code object from") and str(slot) in line]
    assert len(loaded) > 200
    assert [line for line in loaded if ".pyc" not in line] == []


def test_keys_and_archives_work_without_what_was_left_out(slot: Path) -> None:
    code = (
        "import nacl.signing, nacl.secret, zstandard\n"
        "key = nacl.signing.SigningKey(bytes(32))\n"
        "key.verify_key.verify(key.sign(b'x'))\n"
        "box = nacl.secret.SecretBox(bytes(32))\n"
        "assert box.decrypt(box.encrypt(b'x')) == b'x'\n"
        "assert zstandard.ZstdDecompressor().decompress(zstandard.ZstdCompressor().compress(b'x')) == b'x'\n"
        "assert zstandard.backend == 'cext'\n"
    )
    done = run(slot, code)
    assert done.returncode == 0, done.stderr


def test_time_zones_come_from_the_slot(slot: Path) -> None:
    """A host needs none of its own, and what it has is not read."""
    code = (
        "from fleetroll_common.values.zones import find_zone\nimport tzdata, datetime\n"
        "print(find_zone('America/Argentina/Buenos_Aires').utcoffset(datetime.datetime(2024, 1, 1)), tzdata.__file__)"
    )
    assert run(slot, code).stdout == f"-1 day, 21:00:00 {slot}/tzdata/__init__.py\n"


def test_the_stamp_is_what_the_running_agent_reports(slot: Path) -> None:
    code = "from fleetroll_common.buildinfo import build_info as b\nprint(b().version, b().git_sha, b().built_at.year)"
    assert run(slot, code).stdout == f"1.1.0 {SHA} 2026\n"


def test_the_same_commit_and_version_give_the_same_bytes(built: BuiltArtefact, tmp_path: Path) -> None:
    assert build(tmp_path / "again").artefact_sha256 == built.artefact_sha256


def test_another_version_is_other_signed_bytes(built: BuiltArtefact, tmp_path: Path) -> None:
    other = build(tmp_path / "other", "1.2.0")
    assert other.artefact_sha256 != built.artefact_sha256
    assert other.manifest_sha256 != built.manifest_sha256


def test_reading_it_back_gives_its_facts_and_stamp(built: BuiltArtefact) -> None:
    found = inspect_artefact(built.path, "entry.py")
    assert found.artefact == built
    assert found.stamp is not None
    assert (str(found.stamp.version), found.stamp.git_sha, found.stamp.built_at) == ("1.1.0", SHA, COMMITTED)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the part of the source tree that an agent is made of."""
    source = tmp_path / "source"
    for package in ("generated/fleetroll", "common/fleetroll_common", "agent/fleetroll_agent"):
        shutil.copytree(ROOT / package, source / package)
    return source


def test_a_copy_of_the_tree_gives_the_same_bytes_and_a_patched_one_others(
    built: BuiltArtefact, copy: Path, tmp_path: Path
) -> None:
    assert build(tmp_path / "same", source=copy).artefact_sha256 == built.artefact_sha256
    with (copy / "agent/fleetroll_agent/slots/__init__.py").open("a") as module:
        module.write("PATCHED = True\n")
    assert build(tmp_path / "patched", source=copy).artefact_sha256 != built.artefact_sha256


def test_what_lies_around_in_a_source_tree_stays_there(built: BuiltArtefact, copy: Path, tmp_path: Path) -> None:
    (copy / "agent/fleetroll_agent/secret.key").write_text("key")
    (copy / "agent/fleetroll_agent/__pycache__").mkdir(exist_ok=True)
    (copy / "agent/fleetroll_agent/__pycache__/x.cpython-311.pyc").write_bytes(b"")
    (copy / "server").mkdir()
    assert build(tmp_path / "out", source=copy).artefact_sha256 == built.artefact_sha256


def test_another_platform_than_this_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        build_agent_artefact(
            tmp_path / "out",
            Version.parse("1.0.0"),
            SHA,
            Platform.parse("plan9-mips-cp27"),
            source=ROOT,
            built_at=COMMITTED,
        )
    assert caught.value.code == "WRONG_PLATFORM"


def test_a_folder_without_our_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no generated/fleetroll in it"):
        build(tmp_path / "out", source=tmp_path)


def test_a_library_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "AGENT_DISTRIBUTIONS", (Allowed("no-such-distribution"),))
    with pytest.raises(RequestError, match="no-such-distribution is not installed here"):
        build(tmp_path / "out")


@pytest.mark.parametrize("name", ["pydantic", "sqlalchemy", "typer"])
def test_a_widened_allow_list_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(agent_module, "AGENT_DISTRIBUTIONS", (Allowed(name),))
    with pytest.raises(RequestError, match=f"{name} must not reach a host"):
        build(tmp_path / "out")


def test_two_distributions_that_give_the_same_file_are_refused() -> None:
    content = Content()
    add_distribution(content, Allowed("structlog"))
    with pytest.raises(RequestError, match="two sources give the file"):
        add_distribution(content, Allowed("structlog"))


def test_server_code_in_our_own_packages_is_not_imported(slot: Path) -> None:
    for path in (slot / "fleetroll_agent").rglob("*.py"):
        assert "fleetroll_server" not in path.read_text(), path


def test_the_stamp_is_one_small_json_file(slot: Path) -> None:
    document = json.loads((slot / "fleetroll_common" / "_stamp.json").read_text())
    assert document == {"version": "1.1.0", "git_sha": SHA, "built_at": int(COMMITTED.timestamp())}
