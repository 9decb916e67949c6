"""Runs a Python program with fault points.

Called as ``python [flags] shim.py --plan FILE -- (script | -m module | -c code) arguments``. It is loaded before the
program's first line, also under ``-I -S -B``; afterwards the program sees the interpreter as if it had been started
directly: its own ``sys.argv`` and ``sys.path``, and as ``sys.executable`` the plan's wrapper, so that its children have
points too.
"""

# As little as possible is imported before the program: no pathlib.
# ruff: noqa: PTH100, PTH109, PTH120, PTH123

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import types
from typing import Any

_USAGE = "usage: shim.py --plan FILE -- (script | -m module | -c code) arguments"


def main(argv: list[str]) -> None:
    """Install the points of the plan and become the program."""
    if len(argv) < 5 or argv[1] != "--plan" or argv[3] != "--":
        sys.exit(_USAGE)
    with open(argv[2], encoding="utf-8") as file:
        plan = json.load(file)
    program = argv[4:]
    install(plan, " ".join(program))
    become(program)


def install(plan: dict[str, Any], command: str) -> None:
    """Put the points in place. This project's root is on ``sys.path`` only while the shim loads itself."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, root)
    if plan["code"]:
        importlib.import_module("tests.faults.shim_code").keep_code(plan["code"])
    points = importlib.import_module("tests.faults.shim_points").Points(plan, command)
    patches = importlib.import_module("tests.faults.shim_patches")
    streams = importlib.import_module("tests.faults.shim_grpc")
    clock = importlib.import_module("tests.faults.shim_clock")
    sys.path.remove(root)
    patches.patch_files(points)
    patches.patch_processes(points)
    streams.patch_streams(points)
    clock.patch_clock(plan["folder"])
    sys.executable = plan["executable"]


def become(program: list[str]) -> None:
    """Run the program as ``__main__`` of this process."""
    isolated = bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))
    if not isolated:
        sys.path[0] = os.path.dirname(os.path.abspath(program[0])) if program[0][:1] != "-" else ""
    if program[0] == "-m":
        sys.argv = program[1:]
        if not isolated:
            sys.path[0] = os.getcwd()
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        return
    if program[0] == "-c":
        sys.argv = ["-c", *program[2:]]
        execute(program[1], "<string>")
        return
    sys.argv = program
    with open(program[0], encoding="utf-8") as file:
        execute(file.read(), program[0])


def execute(source: str, name: str) -> None:
    """Execute ``source`` in a fresh ``__main__``."""
    module = types.ModuleType("__main__")
    module.__dict__["__file__"] = name
    sys.modules["__main__"] = module
    exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 (this is what an interpreter does)


if __name__ == "__main__":
    main(sys.argv)
