"""What import contracts can't say: floors of Python versions, and that pure rooms ask nobody for the time."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent" / "fleetroll_agent"
PURE = (ROOT / "common" / "fleetroll_common" / "values", ROOT / "server" / "fleetroll_server" / "domain")
# Asking for the time, the outside world, or a person.
IMPURE_CALLS = {"now", "today", "utcnow", "monotonic", "time", "open", "print", "input", "urandom", "getenv"}
# The real sources behind the protocols that pure rooms declare.
REAL_SOURCES = {"clock.py", "ids.py"}
NEWER_THAN_36 = {"contextvars", "dataclasses", "graphlib", "tomllib", "zoneinfo"}
# Names that Python 3.10 does not have, by module.
NEWER_THAN_310 = {
    "asyncio": {"Runner", "TaskGroup", "timeout", "timeout_at"},
    "datetime": {"UTC"},
    "enum": {"EnumCheck", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "hashlib": {"file_digest"},
    "typing": {"LiteralString", "Never", "NotRequired", "Required", "Self", "Unpack", "assert_never", "assert_type"},
    "contextlib": {"chdir"},
    "tomllib": {"load", "loads"},
}


def files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> list[tuple[str, str]]:
    """(module, name) of each import; the name is empty for `import module`."""
    found = [(alias.name, "") for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return found + [(node.module or "", alias.name) for node in named for alias in node.names]


def faults_of_launcher(source: str) -> list[str]:
    """What would keep a file of the launcher from running on a bare Python 3.6."""
    try:
        tree = ast.parse(source, feature_version=(3, 6))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    faults = []
    for module, imported in imports(tree):
        top = module.partition(".")[0]
        if (module, imported) == ("__future__", "annotations"):
            faults.append("annotations of the future came with 3.7")
        elif module.startswith("fleetroll_agent.launcher") or module == "fleetroll_agent":
            continue
        elif top not in sys.stdlib_module_names or top in NEWER_THAN_36:
            faults.append(f"imports {module}")
    return faults + [f"line {node.lineno}: :=" for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)]


def faults_on_hosts(source: str) -> list[str]:
    """What would keep a file from running on Python 3.10."""
    try:
        tree = ast.parse(source, feature_version=(3, 10))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    taken = [f"{module}.{item}" for module, item in imports(tree) if item in NEWER_THAN_310.get(module, ())]
    reached = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in NEWER_THAN_310.get(node.value.id, ())
    ]
    return taken + reached + ["except*" for node in ast.walk(tree) if isinstance(node, ast.TryStar)]


def impure_calls(source: str) -> list[str]:
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls]
    return [called for called in names if called in IMPURE_CALLS]


@pytest.mark.parametrize("path", files(AGENT / "launcher"), ids=name)
def test_the_launcher_parses_on_3_6_and_imports_the_standard_library_alone(path: Path) -> None:
    assert faults_of_launcher(path.read_text("utf-8")) == []


def test_the_package_around_the_launcher_parses_on_3_6_too() -> None:
    assert faults_of_launcher((AGENT / "__init__.py").read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import dataclasses",
        "import fleetroll_common.values",
        "from fleetroll_agent.slots import SlotStore",
        "import grpc",
        "if (n := 1): pass",
        "def f(a, /): pass",
        "match 1:\n    case 1: pass",
    ],
)
def test_what_3_6_lacks_is_noticed_in_the_launcher(source: str) -> None:
    assert faults_of_launcher(source)


@pytest.mark.parametrize("path", files(ROOT / "common", ROOT / "client", AGENT), ids=name)
def test_code_of_hosts_needs_no_more_than_3_10(path: Path) -> None:
    assert faults_on_hosts(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source", ["from enum import StrEnum", "import asyncio\nasyncio.TaskGroup()", "try: f()\nexcept* OSError: pass"]
)
def test_what_3_10_lacks_is_noticed(source: str) -> None:
    assert faults_on_hosts(source)


@pytest.mark.parametrize("path", [path for path in files(*PURE) if path.name not in REAL_SOURCES], ids=name)
def test_pure_rooms_take_the_time_as_a_value(path: Path) -> None:
    assert impure_calls(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", files(*PURE), ids=name)
def test_pure_rooms_import_the_standard_library_values_and_themselves(path: Path) -> None:
    """A neighbour that is new is closed to them without being listed anywhere."""
    modules = {module for module, _ in imports(ast.parse(path.read_text("utf-8")))}
    own = ("fleetroll_common.values", *(["fleetroll_server.domain"] if "domain" in path.parts else []))
    foreign = {one for one in modules if one.partition(".")[0] not in sys.stdlib_module_names}
    assert {one for one in foreign if not (one + ".").startswith(tuple(f"{room}." for room in own))} == set()


@pytest.mark.parametrize("source", ["datetime.now(UTC)", "time.monotonic()", "open('x')", "os.getenv('X')"])
def test_an_impure_call_is_noticed(source: str) -> None:
    assert impure_calls(source)


def test_one_place_knows_where_time_zones_come_from() -> None:
    """Anything else could read those of the operating system."""
    folders = ("common", "publishing", "client", "server", "agent", "cli", "tui")
    found = [
        name(path)
        for path in files(*(ROOT / folder for folder in folders))
        if "zoneinfo" in {module for module, _ in imports(ast.parse(path.read_text("utf-8")))}
    ]
    assert found == ["common/fleetroll_common/values/zones.py"]


def test_only_convert_knows_both_the_contract_and_the_domain() -> None:
    """One `convert` module per program stands between protobuf types and domain types."""
    both = []
    for path in files(ROOT / "server", ROOT / "agent"):
        modules = {module for module, _ in imports(ast.parse(path.read_text("utf-8")))}
        wire = any(module.partition(".")[0] == "fleetroll" for module in modules)
        domain = any(module.startswith("fleetroll_server.domain") for module in modules)
        if wire and domain and not path.stem.startswith("convert"):
            both.append(name(path))
    assert both == []
