"""What the shim puts between a program and the system: files, processes, databases. Standard library only.

Replaced are the functions of ``os`` and ``io`` that programs call; data that C code writes by itself (a database's
file) is seen at its commits only.
"""

from __future__ import annotations

import builtins
import functools
import importlib.abc
import importlib.machinery
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from tests.faults.shim_points import message_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from tests.faults.shim_points import Points

_MAKING = os.O_CREAT | os.O_TRUNC
_ONE_PATH = {"unlink": "unlink", "remove": "unlink", "mkdir": "mkdir", "rmdir": "rmdir", "fsync": "fsync"}
_ONE_PATH |= {"fdatasync": "fsync", "ftruncate": "truncate", "truncate": "truncate"}
_TWO_PATHS = {"rename": "rename", "replace": "rename", "link": "link", "symlink": "link"}
_DURABLE = "fleetroll_common.durable.effects"
"""The module whose calls on names in folders that are held open count too; those that unpack or remove trees do not."""
_EXECS = ("execv", "execve", "posix_spawn")


def patch_files(points: Points) -> None:
    """Make every changing call on files of the roots, and every write to a pipe, a point."""
    for name, kind in _ONE_PATH.items():
        setattr(os, name, _first_path(points, kind, getattr(os, name)))
    for name, kind in _TWO_PATHS.items():
        setattr(os, name, _second_path(points, kind, getattr(os, name)))
    os.write = _writing(points, os.write)
    os.open = _opening(points, os.open)
    io.open = builtins.open = _stream_opening(points, io.open)


def patch_processes(points: Points) -> None:
    """Make every exec and spawn a point; ``subprocess`` is patched when the program imports it."""
    for name in _EXECS:
        setattr(os, name, _spawning(points, "spawn" if "spawn" in name else "exec", getattr(os, name)))
    when_imported("subprocess", functools.partial(_patch_subprocess, points))
    when_imported("sqlite3", functools.partial(_patch_sqlite, points))


def when_imported(name: str, patch: Callable[[ModuleType], None]) -> None:
    """Call ``patch`` with the module ``name``: now when it is there, else after its import."""
    if name in sys.modules:
        patch(sys.modules[name])
    else:
        sys.meta_path.insert(0, _PatchingFinder(name, patch))


class _PatchingFinder(importlib.abc.MetaPathFinder):
    """Lets one module be found as usual, and patched after its execution."""

    def __init__(self, name: str, patch: Callable[[ModuleType], None]) -> None:
        """Wait for ``name``."""
        self._name = name
        self._patch = patch

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the usual spec with a loader that patches."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                self._patch(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _full(path: Any, handle: int | None) -> Any:
    """Return the whole path of a name in the folder behind ``handle``; one that counts nowhere where it is not ours."""
    if handle is None:
        return path
    if sys._getframe(2).f_globals.get("__name__") != _DURABLE:
        return "/"
    return f"{os.readlink(f'/proc/self/fd/{handle}')}/{os.fsdecode(path)}"  # noqa: PTH115 (no pathlib here)


def _first_path(points: Points, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(path: Any, *args: Any, **kwargs: Any) -> Any:
        name = points.path_name(_full(path, kwargs.get("dir_fd")))
        if name is None:
            return real(path, *args, **kwargs)
        return points.run(f"{kind}:{name}", lambda: real(path, *args, **kwargs))

    return call


def _second_path(points: Points, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(source: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        handle = kwargs.get("dst_dir_fd", kwargs.get("dir_fd"))
        name = points.path_name(_full(target, handle))
        if name is None:
            return real(source, target, *args, **kwargs)
        return points.run(f"{kind}:{name}", lambda: real(source, target, *args, **kwargs))

    return call


def _writing(points: Points, real: Callable[..., int]) -> Callable[..., int]:
    def write(handle: int, data: Any) -> int:
        name = points.path_name(handle)
        if name is None:
            return real(handle, data)
        point = f"write:{name}{message_name(data) if name == 'pipe' else ''}"
        return points.run(
            point, lambda: real(handle, data), lambda: real(handle, bytes(data)[: max(1, len(data) // 2)])
        )

    return write


def _opening(points: Points, real: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        name = points.path_name(_full(path, kwargs.get("dir_fd"))) if flags & _MAKING else None
        if name is None:
            return real(path, flags, *args, **kwargs)
        return points.run(f"create:{name}", lambda: real(path, flags, *args, **kwargs))

    return opened


def _stream_opening(points: Points, real: Callable[..., Any]) -> Callable[..., Any]:
    class PointFile(io.FileIO):
        """A file below a stream whose writes are points; the buffering above it stays Python's own."""

        def write(self, data: Any) -> int:
            name = points.path_name(self.fileno())
            write = super().write
            half = max(1, len(data) // 2)
            return points.run(f"write:{name}", lambda: write(data), lambda: write(bytes(data)[:half]))

    def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        binary = mode.replace("b", "").replace("t", "").replace("U", "")
        name = points.path_name(file) if set(binary) & set("wxa+") else None
        if name is None or name == "pipe" or "opener" in kwargs or "+" in mode or "r" in mode:
            return real(file, mode, buffering, *args, **kwargs)
        closefd = kwargs.pop("closefd", True)
        make = functools.partial(PointFile, file, binary, closefd=closefd)
        raw = make() if isinstance(file, int) else points.run(f"create:{name}", make)
        if buffering == 0:
            return raw
        stream = io.BufferedWriter(raw)
        if "b" in mode:
            return stream
        return io.TextIOWrapper(stream, *args, **{"line_buffering": buffering == 1, **kwargs})

    return opened


def _spawning(points: Points, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(path: Any, argv: Any, *args: Any, **kwargs: Any) -> Any:
        role = points.role_of(" ".join(os.fsdecode(part) for part in argv))
        return points.run(f"{kind}:{role}", lambda: real(path, argv, *args, **kwargs))

    return call


def _patch_subprocess(points: Points, module: ModuleType) -> None:
    real = module.Popen._execute_child

    def execute(self: Any, args: Any, *rest: Any, **kwargs: Any) -> Any:
        words = [args] if isinstance(args, (str, bytes, os.PathLike)) else args
        role = points.role_of(" ".join(os.fsdecode(part) for part in words))
        return points.run(f"spawn:{role}", lambda: real(self, args, *rest, **kwargs))

    module.Popen._execute_child = execute


def _patch_sqlite(points: Points, module: Any) -> None:
    real = module.connect

    class PointConnection(module.Connection):  # type: ignore[misc]
        """A connection whose commits are points, whichever way they are asked for."""

        def commit(self) -> None:
            name = points.path_name(self.point_path)
            if name is None or not self.in_transaction:
                super().commit()
            else:
                points.run(f"commit:{name}", super().commit)

        def execute(self, sql: str, *args: Any) -> Any:
            name = points.path_name(self.point_path) if sql.strip().upper().startswith("COMMIT") else None
            run = functools.partial(super().execute, sql, *args)
            return run() if name is None else points.run(f"commit:{name}", run)

    def connect(database: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("factory", PointConnection)
        connection = real(database, *args, **kwargs)
        if isinstance(connection, PointConnection):
            connection.point_path = os.fsdecode(database).removeprefix("file:").split("?")[0]
        return connection

    module.connect = module.dbapi2.connect = connect
