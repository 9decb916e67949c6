"""A model of a disk under power loss: what may be found after the machine went dark.

The rules, from what file systems promise and nothing more:

- the content of a file that was not synced since its last change is found old, torn (its first half), or new;
- a name that was made, moved or removed since its directory was last synced is found as before, as after, or as
  anything in between, independently of every other name, also of the other half of the same rename;
- what was synced stays.

A disk is built from operations that were recorded from real code; ``crashes`` gives every tree that may be found.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Tree = frozenset[tuple[str, "bytes | str | None"]]
"""Every path below the root with its content; None for a directory, a text for a link: where it leads to."""


@dataclass(frozen=True, slots=True)
class Op:
    """One effect on the disk; paths are relative to the root.

    Kinds: create, write (at the end), truncate (to as many bytes as ``data`` has), mkdir, link (``target`` becomes a
    second name of ``path``), symlink (``path`` leads to ``target``), rename, unlink, sync, sync_dir.
    """

    kind: str
    path: str
    target: str = ""
    data: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}{' → ' + self.target if self.target else ''}"


@dataclass(slots=True)
class _File:
    data: bytes
    synced: bytes

    def found(self) -> list[bytes]:
        """Return the contents that may be found: what was only added to is torn behind what was synced."""
        if not self.dirty:
            return [self.data]
        kept = len(self.synced) if self.data.startswith(self.synced) else 0
        torn = self.data[: (kept + len(self.data)) // 2]
        return list(dict.fromkeys((self.synced, torn, self.data)))

    @property
    def dirty(self) -> bool:
        return self.data != self.synced


@dataclass(slots=True)
class _Folder:
    names: dict[str, _Node] = field(default_factory=dict)
    loose: dict[str, list[_Node | None]] = field(default_factory=dict)
    """For each name changed since the last sync: what stood there then and since."""

    def put(self, name: str, node: _Node | None) -> None:
        """Let ``name`` stand for ``node``, or for nothing."""
        self.loose.setdefault(name, [self.names.get(name)]).append(node)
        if node is None:
            self.names.pop(name, None)
        else:
            self.names[name] = node


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    target: str


_Node = _File | _Folder | _Link


class PowerDisk:
    """The disk of one machine."""

    def __init__(self, tree: Tree) -> None:
        """Start from ``tree``, all of it durable."""
        self._root = _Folder()
        for path, data in sorted(tree, key=lambda item: item[0]):
            self._parent(path).names[_name(path)] = _node(data)

    def apply(self, op: Op) -> None:
        """Carry out one operation."""
        made = {"create": b"", "mkdir": None, "symlink": op.target}
        if op.kind in made:
            self._parent(op.path).put(_name(op.path), _node(made[op.kind]))
        elif op.kind == "write":
            self._file(op.path).data += op.data
        elif op.kind == "truncate":
            self._file(op.path).data = self._file(op.path).data[: len(op.data)]
        elif op.kind == "link":
            self._parent(op.target).put(_name(op.target), self._file(op.path))
        elif op.kind == "rename":
            node = self._at(op.path)
            self._parent(op.path).put(_name(op.path), None)
            self._parent(op.target).put(_name(op.target), node)
        elif op.kind == "unlink":
            self._parent(op.path).put(_name(op.path), None)
        elif op.kind == "sync":
            self._file(op.path).synced = self._file(op.path).data
        elif op.kind == "sync_dir":
            self._folder(op.path).loose.clear()
        else:
            raise ValueError(op.kind)

    def crashes(self) -> Iterator[Tree]:
        """Return every tree that may be found when the power fails now."""
        seen = set()
        for found in _found(self._root, ""):
            tree = frozenset(found)
            if tree not in seen:
                seen.add(tree)
                yield tree

    def _at(self, path: str) -> _Node:
        node: _Node = self._root
        for part in path.split("/") if path else ():
            assert isinstance(node, _Folder)
            node = node.names[part]
        return node

    def _file(self, path: str) -> _File:
        node = self._at(path)
        assert isinstance(node, _File)
        return node

    def _folder(self, path: str) -> _Folder:
        node = self._at(path)
        assert isinstance(node, _Folder)
        return node

    def _parent(self, path: str) -> _Folder:
        return self._folder(path.rpartition("/")[0])


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _node(data: bytes | str | None) -> _Node:
    if data is None:
        return _Folder()
    return _Link(data) if isinstance(data, str) else _File(data, data)


_Entries = tuple[tuple[str, "bytes | str | None"], ...]


def _found(folder: _Folder, prefix: str) -> Iterator[_Entries]:
    """Return every content of ``folder`` that may be found."""
    choices = []
    for name in sorted(folder.names.keys() | folder.loose.keys()):
        nodes = folder.loose.get(name) or [folder.names[name]]
        choices.append([found for node in _distinct(nodes) for found in _node_found(node, prefix + name)])
    for combination in itertools.product(*choices):
        yield tuple(itertools.chain.from_iterable(combination))


def _distinct(nodes: Iterable[_Node | None]) -> list[_Node | None]:
    kept: list[_Node | None] = []
    for node in nodes:
        if not any(node is other for other in kept):
            kept.append(node)
    return kept


def _node_found(node: _Node | None, path: str) -> Iterator[_Entries]:
    if node is None:
        yield ()
    elif isinstance(node, _Link):
        yield ((path, node.target),)
    elif isinstance(node, _File):
        for data in node.found():
            yield ((path, data),)
    else:
        for below in _found(node, path + "/"):
            yield ((path, None), *below)


def as_tree(files: Mapping[str, bytes | str | None]) -> Tree:
    """Return ``files`` as a tree."""
    return frozenset(files.items())
