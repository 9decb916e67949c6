"""The locks: hashed, complete, of one mind, and fitting pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fleetroll_publishing.artefact.allowed import AGENT_DISTRIBUTIONS

ROOT = Path(__file__).resolve().parents[2]
# Not installed where the tests run: the standard library reads TOML from 3.11 on.
OWNERS = {"tomli": ["tomli"], **packages_distributions()}
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, set[str]]:
    """Versions by package; more than one where the lock splits by Python version."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer((ROOT / "requirements" / lock).read_text("utf-8")):
        found.setdefault(canonicalize_name(match["name"]), set()).add(match["version"])
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def applies(requirement: Requirement, lock: str) -> bool:
    """Whether a requirement is one of the lowest Python that a lock is for."""
    lowest = {"python_version": "3.10" if lock == "agent.txt" else "3.11"}
    return requirement.marker is None or requirement.marker.evaluate(lowest)


def unmet(requirements: list[str], lock: str) -> list[str]:
    """Requirements that the lock does not fulfil; the project's own extras are looked into by the caller."""
    have = pins(lock)
    wanted = [Requirement(line) for line in requirements if not line.startswith("fleetroll[")]
    return [
        str(one)
        for one in wanted
        if applies(one, lock)
        and not any(one.specifier.contains(version) for version in have.get(canonicalize_name(one.name), set()))
    ]


def test_the_locks_that_set_up_reads_are_there() -> None:
    assert [path.name for path in LOCKS] == ["agent.txt", "dev.txt", "gen.txt", "uv.txt"]


@pytest.mark.parametrize("lock", [path.name for path in LOCKS])
def test_every_pin_has_a_hash(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", [path.name for path in LOCKS])
def test_a_lock_holds_pins_hashes_and_notes_alone(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    plain = re.compile(r"[a-z0-9][a-z0-9._-]*==\S+( ;.*)?( \\)?|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*")
    assert [line for line in text.splitlines() if not plain.fullmatch(line)] == []


def test_the_dev_lock_fulfils_every_extra_and_the_dev_group() -> None:
    data = project()
    extras = [line for lines in data["project"]["optional-dependencies"].values() for line in lines]
    assert unmet([*data["project"]["dependencies"], *extras, *data["dependency-groups"]["dev"]], "dev.txt") == []


@pytest.mark.parametrize(("group", "lock"), [("gen", "gen.txt"), ("uv", "uv.txt")])
def test_the_tools_locks_fulfil_their_groups(group: str, lock: str) -> None:
    assert unmet(project()["dependency-groups"][group], lock) == []


def test_the_agent_lock_is_the_base_and_agrees_with_the_dev_lock() -> None:
    assert unmet(project()["project"]["dependencies"], "agent.txt") == []
    dev, agent = pins("dev.txt"), pins("agent.txt")
    base = [Requirement(line) for line in project()["project"]["dependencies"]]
    older = {canonicalize_name(one.name) for one in base if not applies(one, "dev.txt")}
    assert {name for name, versions in agent.items() if not versions & dev.get(name, set())} == older == {"tomli"}


def test_the_artefact_takes_along_what_the_agent_lock_pins() -> None:
    """The parser behind the C compiler's front is for builders alone."""
    taken = {canonicalize_name(allowed.name) for allowed in AGENT_DISTRIBUTIONS}
    assert taken == pins("agent.txt").keys() - {"pycparser"}


def test_hosts_get_no_server_package() -> None:
    server = {"aiosqlite", "alembic", "asyncpg", "cryptography", "pydantic", "rich", "sqlalchemy", "sqlmodel", "typer"}
    assert server & pins("agent.txt").keys() == set()


def test_the_generator_pins_what_the_committed_code_was_made_with() -> None:
    assert pins("gen.txt")["grpcio-tools"] == {"1.76.0"}
    stub = next((ROOT / "generated" / "fleetroll" / "v1").glob("*_pb2_grpc.py"))
    assert "GRPC_GENERATED_VERSION = '1.76.0'" in stub.read_text("utf-8")


# The extras that each room may lean on, beside the base.
LEANS_ON = {
    "common": [],
    "agent": [],
    "publishing": [],
    "client": ["client"],
    "cli": ["client", "cli"],
    "tui": ["client", "tui"],
    "server": ["server", "scale"],
}


def declared(extras: list[str]) -> set[str]:
    data = project()["project"]
    lines = [*data["dependencies"], *(line for extra in extras for line in data["optional-dependencies"][extra])]
    return {canonicalize_name(Requirement(line).name) for line in lines}


class AtRunTime(ast.NodeTransformer):
    """Leaves out what only the type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        name = ast.unparse(node.test)
        return None if name in {"TYPE_CHECKING", "typing.TYPE_CHECKING"} else self.generic_visit(node)


def undeclared(source: str, extras: list[str]) -> set[str]:
    """Top-level modules that a source imports and that no declared package brings by itself."""
    nodes = list(ast.walk(AtRunTime().visit(ast.parse(source))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    have = declared(extras)
    return {
        top
        for top in tops
        if not top.startswith("fleetroll") and not have & {canonicalize_name(owner) for owner in OWNERS.get(top, [])}
    }


@pytest.mark.parametrize("room", LEANS_ON)
def test_a_room_imports_only_what_its_extras_declare(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    found = {path.relative_to(ROOT).as_posix(): undeclared(path.read_text("utf-8"), LEANS_ON[room]) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_package_that_only_another_one_brings_is_noticed() -> None:
    assert undeclared("import click\nimport os\nfrom rich.table import Table", ["cli"]) == {"click"}
    assert undeclared("def f():\n    from sqlalchemy import select", []) == {"sqlalchemy"}
