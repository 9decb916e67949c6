"""The directions of imports: every contract of .importlinter is shown to refuse what it forbids."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("generated", "common", "publishing", "client", "server", "agent", "cli", "tui")
PLAIN, LAZY, TYPING = "import {0}", "def planted() -> None:\n    import {0}", "if TYPE_CHECKING:\n    import {0}"

# contract: (importing module, imported module, how). Each line must be refused, and named, by the contract.
PLANTS = {
    "layers": [
        ("fleetroll_agent.slots.values", "fleetroll_server.store", PLAIN),
        ("fleetroll_cli.output", "fleetroll_server.store", PLAIN),
        ("fleetroll_tui.model.fleet", "fleetroll_cli.output", PLAIN),
        ("fleetroll_publishing.artefact.build", "fleetroll_client", PLAIN),
        ("fleetroll_server.gateway.convert", "fleetroll_agent.slots", LAZY),
        ("fleetroll_common.values.version", "fleetroll_server.gateway", PLAIN),
        ("fleetroll_common.durable.files", "fleetroll_agent.fetch", TYPING),
        ("fleetroll_common.wire.channel", "fleetroll_client", PLAIN),
        ("fleetroll_client.errors", "fleetroll_server.store", PLAIN),
    ],
    "agent": [
        ("fleetroll_agent.slots.values", "fleetroll_client", PLAIN),
        ("fleetroll_agent.unpack.tree", "fleetroll_publishing.artefact", PLAIN),
        ("fleetroll_agent.fetch.values", "sqlalchemy", LAZY),
        ("fleetroll_agent.unpack.refuse", "sqlite3", PLAIN),
        ("fleetroll_agent.slots.store", "textual", TYPING),
        ("fleetroll_agent.slots.drift", "typer", PLAIN),
    ],
    "base": [
        ("fleetroll_common.wire.channel", "cryptography", PLAIN),
        ("fleetroll_client.errors", "pydantic", PLAIN),
        ("fleetroll_agent.slots.drift", "uvloop", LAZY),
    ],
    "launcher": [
        ("fleetroll_agent.launcher.core", "fleetroll_common.values", PLAIN),
        ("fleetroll_agent.launcher.record", "fleetroll_agent.slots", LAZY),
        ("fleetroll_agent.launcher.events", "structlog", PLAIN),
        ("fleetroll_agent.launcher.own", "fleetroll_agent.service.place", LAZY),
    ],
    "pure": [
        ("fleetroll_common.values.version", "time", PLAIN),
        ("fleetroll_common.values.backoff", "random", LAZY),
        ("fleetroll_common.values.codes", "pathlib", PLAIN),
        ("fleetroll_common.values.errors", "google", PLAIN),
        ("fleetroll_common.values.manifest", "fleetroll_common.durable", PLAIN),
        ("fleetroll_common.values.relpath", "sqlalchemy", TYPING),
        ("fleetroll_server.domain.states", "fleetroll_server.store", PLAIN),
        ("fleetroll_server.domain.go", "asyncio", LAZY),
        ("fleetroll_server.domain.deadlines", "time", PLAIN),
        ("fleetroll_server.domain.promote", "fleetroll.v1.rollouts_pb2", TYPING),
    ],
    "console": [
        ("fleetroll_tui.model.fleet", "textual", PLAIN),
        ("fleetroll_tui.model.filters", "rich", LAZY),
        ("fleetroll_tui.model.values", "asyncio", PLAIN),
        ("fleetroll_tui.model.events", "fleetroll_client", TYPING),
    ],
    "protobuf": [
        ("fleetroll_agent.slots.values", "fleetroll.v1.types_pb2", PLAIN),
        ("fleetroll_server.store", "fleetroll.v1.agents_pb2", PLAIN),
        ("fleetroll_publishing.artefact.build", "fleetroll.v1.releases_pb2", LAZY),
        ("fleetroll_tui.model.fleet", "fleetroll.v1.agents_pb2", TYPING),
    ],
}


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def rooms() -> set[str]:
    """The packages that are there, by their folders."""
    found = (path for root in SOURCE_ROOTS for path in (ROOT / root).glob("fleetroll*") if any(path.rglob("*.py")))
    return {path.name for path in found}


def copy_of_sources(into: Path) -> None:
    for root in SOURCE_ROOTS:
        if (ROOT / root).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.pyi", "*.typed")
            shutil.copytree(ROOT / root, into / root, ignore=ignore)
    shutil.copy(ROOT / ".importlinter", into)


def source_of(module: str, root: Path) -> Path:
    parts = module.split(".")
    for path in (root.joinpath(top, *parts) for top in SOURCE_ROOTS):
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    message = f"the table of plants names {module}, which does not exist"
    raise AssertionError(message)


def lint(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(root / top) for top in SOURCE_ROOTS)
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", *arguments]
    # A wide terminal: lines of the report are compared.
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "400"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_every_room_is_under_the_contracts() -> None:
    assert set(configuration()["importlinter"]["root_packages"].split()) == rooms()


def test_every_contract_has_plants() -> None:
    names = {section.rpartition(":")[2] for section in configuration().sections() if ":contract:" in section}
    assert names == set(PLANTS)


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    copy_of_sources(tmp_path)
    for importer, imported, how in PLANTS[contract]:
        file = source_of(importer, tmp_path)
        file.write_text(f"{file.read_text('utf-8')}\n{how.format(imported)}\n", "utf-8")
    done = lint(tmp_path, "--contract", contract)
    assert done.returncode == 1, done.stdout + done.stderr
    missed = [plant for plant in PLANTS[contract] if f"{plant[0]} -> {plant[1]} " not in done.stdout]
    assert not missed, done.stdout


def test_the_copy_without_plants_passes(tmp_path: Path) -> None:
    copy_of_sources(tmp_path)
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
