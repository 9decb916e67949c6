"""Byte code: of every module, of its own source, the same on each machine, and what a start really reads."""

from __future__ import annotations

import dis
import hashlib
import importlib.util
import marshal
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.artefact.bytecode import add_byte_code
from fleetroll_publishing.artefact.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
HEADER_BYTES = 16
UNCHECKED = (1).to_bytes(4, "little")
TRICKY = b"""
WORDS = {"a", "b", "c"} and "x" in {"alpha", "beta", "gamma", "delta"}
SHARED = ("os", "path", "os", 1.5, 1e300, 2**70, b"os", "\\xe4", None, ...)
def outer(first, *, second="os"):
    def inner():
        return first, second, [name for name in SHARED]
    return inner
"""

DOCUMENTED = b'''"""Of a module."""
def plain():
    """Of a function."""
    assert not "kept"
def empty():
    """Of a function that has nothing else."""
class Documented:
    """Of a class."""
'''
ASSERT_LINE = 4


def source(*packages: str) -> Content:
    """Return modules of ours, and one that has every kind of constant."""
    content = Content()
    for package in packages:
        for module in sorted((ROOT / package).rglob("*.py")):
            content.add_file(module.relative_to((ROOT / package).parent).as_posix(), module)
    content.add("tricky/one.py", TRICKY)
    content.add("main.py", b"print('run by its path')\n")
    content.add("tricky/data.bin", b"\0")
    return content


def compiled(content: Content) -> dict[str, bytes]:
    add_byte_code(content, without=frozenset({"main.py"}))
    return byte_code(content)


def byte_code(content: Content) -> dict[str, bytes]:
    return {path: data for path, (_mode, data) in content.files.items() if path.endswith(".pyc")}


def digest(files: dict[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()


@pytest.fixture(scope="module")
def content() -> Content:
    made = source("common/fleetroll_common", "generated/fleetroll")
    compiled(made)
    return made


def code_of(data: bytes) -> CodeType:
    code: CodeType = marshal.loads(data[HEADER_BYTES:])  # noqa: S302 (what was built a moment ago)
    return code


def test_every_module_has_its_byte_code_and_nothing_else_has(content: Content) -> None:
    modules = {path for path in content.files if path.endswith(".py")} - {"main.py"}
    caches = {path for path in content.files if path.endswith(".pyc")}
    assert len(modules) > 50
    assert caches == {importlib.util.cache_from_source(path, optimization="") for path in modules}


def whole(data: CodeType) -> Iterator[CodeType]:
    """Return a program and every function and class in it, in their order."""
    yield data
    for constant in data.co_consts:
        if isinstance(constant, CodeType):
            yield from whole(constant)


def meaning(code: CodeType) -> list[tuple[str, object]]:
    """Return what a program does, line by line, but for its own docstring: where jumps lead moves with that."""
    told: list[tuple[str, object]] = []
    for found in dis.get_instructions(code):
        if found.opname == "STORE_NAME" and found.argval == "__doc__" and code.co_name == "<module>":
            told.pop()
        elif found.opname not in {"NOP", "RESUME"}:
            jumps = found.opcode in {*dis.hasjrel, *dis.hasjabs}
            nested = isinstance(found.argval, CodeType)
            told.append((found.opname, None if jumps or nested else found.argval))
    return told


def test_it_is_what_its_own_source_says(content: Content) -> None:
    """Byte code does what the source says, function by function; a function's docstring is no instruction."""
    for path, data in byte_code(content).items():
        module = importlib.util.source_from_cache(path)
        again = compile(content.files[module][1], module, "exec", dont_inherit=True, optimize=0)
        ours, theirs = list(whole(code_of(data))), list(whole(again))
        assert [code.co_qualname for code in ours] == [code.co_qualname for code in theirs], path
        assert [meaning(code) for code in ours] == [meaning(code) for code in theirs], path


def test_docstrings_and_columns_stay_behind_and_lines_asserts_and_docstrings_of_classes_do_not() -> None:
    """What only a reader needs is not held in memory; what a traceback or a dataclass needs is."""
    content = Content()
    content.add("pkg/one.py", DOCUMENTED)
    (data,) = compiled(content).values()
    names: dict[str, Any] = {}
    exec(code_of(data), names)  # noqa: S102 (its source stands above)
    plain, empty, cls = names["plain"], names["empty"], names["Documented"]
    assert (names.get("__doc__"), plain.__doc__, empty.__doc__, cls.__doc__) == (None, None, None, "Of a class.")
    assert empty() is None
    with pytest.raises(AssertionError) as caught:
        plain()
    assert caught.traceback[-1].lineno + 1 == ASSERT_LINE
    assert {column for *_lines, column, _end in code_of(data).co_positions()} == {None}


def test_it_is_taken_without_a_look_at_the_source_and_is_bound_to_it_by_its_hash(content: Content) -> None:
    for path, data in byte_code(content).items():
        module = importlib.util.source_from_cache(path)
        of_source = importlib.util.source_hash(content.files[module][1])
        assert data[:HEADER_BYTES] == importlib.util.MAGIC_NUMBER + UNCHECKED + of_source, path


def test_no_place_of_the_building_machine_is_inside(content: Content) -> None:
    for path, data in byte_code(content).items():
        assert code_of(data).co_filename == importlib.util.source_from_cache(path)
        assert str(ROOT).encode() not in data
        assert b"fleetroll-byte-code-" not in data


@pytest.mark.parametrize("seed", ["0", "1", "4711", "random"])
def test_other_seeds_folders_and_surroundings_give_the_same_bytes(content: Content, tmp_path: Path, seed: str) -> None:
    """A builder that has a history of its own: other modules loaded, another place, another order of the content."""
    program = (
        "import asyncio, json, sys\n"
        f"sys.path[:0] = [{str(ROOT)!r}]\n"
        "from tests.publishing.artefact import test_bytecode as here\n"
        "content = here.source('common/fleetroll_common', 'generated/fleetroll')\n"
        "content.files = dict(reversed(content.files.items()))\n"
        "print(here.digest(here.compiled(content)))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TMPDIR": str(tmp_path), "PYTHONOPTIMIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest(byte_code(content))


def test_a_start_reads_it_and_not_the_source(tmp_path: Path) -> None:
    content = Content()
    content.add("pkg/__init__.py", b"")
    content.add("pkg/one.py", b"print('as it was signed', __file__)\n")
    compiled(content)
    for path, (_mode, data) in content.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "pkg" / "one.py").write_bytes(b"print('something else')\n")
    program = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport pkg.one"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == f"as it was signed {tmp_path}/pkg/one.py\n", done.stderr


def test_a_module_that_is_no_python_is_named() -> None:
    content = Content()
    content.add("pkg/bad.py", b"def :\n")
    with pytest.raises(RequestError, match=r"a module can't be compiled: pkg/bad\.py: ") as caught:
        add_byte_code(content, without=frozenset())
    assert caught.value.code == "INVALID_ARGUMENT"
