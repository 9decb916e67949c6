"""Key files on this machine: opened with their passphrases, and made."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fleetroll_cli.keys.options import invalid
from fleetroll_cli.output import plain
from fleetroll_common.durable import sync_dir
from fleetroll_publishing.history import public_of
from fleetroll_publishing.keys import (
    Cost,
    Passphrase,
    PrivateKey,
    Protection,
    SecretKey,
    load_key,
    read_label,
    save_key,
)
from fleetroll_publishing.signers import NaClSigner, RoleSigners

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetroll_publishing.rotation import KeySet

SUFFIX = ".key"
UNLOCK_FILE = "unlock.key"
"""What a server's ``init`` leaves beside root keys without a passphrase."""
MODE = 0o700


@dataclass(frozen=True, slots=True)
class Passphrases:
    """Where passphrases come from: files that are named, else whoever sits at the terminal.

    Attributes:
        files: by the name of a key file without its end, or by the beginning of such names; empty = of all.
        memory_bytes: cost of a new passphrase.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    memory_bytes: int = 256 * 1024 * 1024

    @classmethod
    def of(cls, pairs: list[str] | None, memory_bytes: int = 0) -> Passphrases:
        """Read ``NAME=FILE`` pairs.

        Raises:
            RequestError: INVALID_ARGUMENT (caller's fault).
        """
        found: dict[str, Path] = {}
        for pair in pairs or ():
            name, equals, file = pair.partition("=") if "=" in pair else ("", "=", pair)
            if not equals or not file or name in found:
                raise invalid("passphrase-file", f"{pair[:80]!r} is not a new NAME=FILE", "write it like root-1=FILE")
            found[name] = Path(file)
        return cls(found, memory_bytes)

    def opening(self, path: Path) -> Protection:
        """Return what opens a key file."""
        if read_label(path).wants_passphrase:
            return Passphrase(self._of_file(path.stem) or self._asked(f"passphrase of {path.name}", confirm=False))
        unlock = path.parent / UNLOCK_FILE
        try:
            return SecretKey(bytes.fromhex(unlock.read_text("ascii").strip()))
        except (OSError, ValueError) as error:
            what = f"{path.name} is opened by {UNLOCK_FILE} beside it, which can't be read"
            raise invalid("key", what, "bring that file as well") from error

    def protecting(self, stem: str) -> Passphrase:
        """Return what protects a new key file."""
        text = self._of_file(stem) or self._asked(f"new passphrase for {stem}{SUFFIX}", confirm=True)
        return Passphrase(text, Cost(memory_bytes=self.memory_bytes))

    def _of_file(self, stem: str) -> str:
        """Return the passphrase that a file holds; empty where none is named."""
        beginnings = sorted((name for name in self.files if name and _begins(stem, name)), key=len)
        name = beginnings[-1] if beginnings else ""
        if name not in self.files:
            return ""
        path = self.files[name]
        try:
            first = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            what = f"{plain(str(path))} can't be read"
            raise invalid("passphrase-file", what, "name a file that this user can read") from error
        if not first:
            raise invalid("passphrase-file", f"the first line of {plain(str(path))} is empty", "write it there")
        return first

    @staticmethod
    def _asked(question: str, *, confirm: bool) -> str:
        """Ask at the terminal."""
        if not sys.stdin.isatty():
            what = f"nobody can be asked for the {question}"
            raise invalid("passphrase-file", what, "name a file with --passphrase-file NAME=FILE")
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True))


def _begins(stem: str, name: str) -> bool:
    """Tell whether the key file ``stem`` is ``name``, or ``name`` with a number."""
    rest = stem.removeprefix(name)
    return stem.startswith(name) and (not rest or (rest.startswith("-") and rest[1:].isdigit()))


def open_keys(files: Sequence[Path], passphrases: Passphrases, sets: Sequence[Mapping[str, KeySet]]) -> RoleSigners:
    """Return the signers in key files, each under the role that names it.

    Args:
        files: key files.
        passphrases: what opens them.
        sets: who signs each role, before and after an act.

    Raises:
        RequestError: a file is no key file, is not opened, or no role names its key (caller's fault).
    """
    roles = {public_of(key): role for each in sets for role, keys in each.items() for key in keys.keys}
    found: dict[str, list[NaClSigner]] = {}
    for path in dict.fromkeys(files):
        public = public_of(read_label(path).public)
        if public not in roles:
            what = f"no role names the key in {plain(path.name)}"
            raise invalid("key", what, "name the file of a key that `keys status` shows")
        found.setdefault(roles[public], []).append(NaClSigner(load_key(path, passphrases.opening(path))))
    return signers_of(found)


def signers_of(found: Mapping[str, Sequence[NaClSigner]]) -> RoleSigners:
    """Return signers by role, of those that are signed offline."""
    products = {
        role.partition("/")[2]: tuple(signers) for role, signers in found.items() if role.startswith("products/")
    }
    return RoleSigners(tuple(found.get("root", ())), tuple(found.get("targets", ())) or None, products)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is not in any file yet.

    Attributes:
        role: which it will sign.
        stem: the name of its file, without the end.
        key: the key.
    """

    role: str
    stem: str
    key: PrivateKey = field(repr=False)

    @property
    def signer(self) -> NaClSigner:
        """Return its signer."""
        return NaClSigner(self.key)


def new_keys(role: str, count: int, folder: Path, *, first: bool = False) -> list[NewKey]:
    """Return ``count`` new keys for ``role``, named so that no file of ``folder`` is in the way.

    Args:
        role: ``root``, ``targets`` or ``products/<name>``.
        count: how many.
        folder: where they will be written.
        first: whether they are the first of their role: a single one has no number then.
    """
    base = role.replace("/", "-")
    if first and count == 1 and not (folder / f"{base}{SUFFIX}").exists():
        return [NewKey(role, base, PrivateKey.generate())]
    taken = [_number(path.stem, base) for path in folder.glob(f"{base}*{SUFFIX}")] if folder.is_dir() else []
    begin = max(taken, default=0) + 1
    return [NewKey(role, f"{base}-{begin + step}", PrivateKey.generate()) for step in range(count)]


def _number(stem: str, base: str) -> int:
    """Return the number at the end of a file's name; 1 where it is the base alone, 0 for another base's file."""
    rest = stem.removeprefix(base)
    if not rest:
        return 1
    return int(rest[1:]) if rest.startswith("-") and rest[1:].isdigit() else 0


def write_keys(folder: Path, keys: Sequence[NewKey], passphrases: Passphrases) -> list[Path]:
    """Write new keys, each into a file of its own (0600), durably; return the files.

    Raises:
        RequestError: a passphrase is missing or too short, or a name is taken by now (caller's fault).
        OSError: the disk refused.
    """
    protections = [passphrases.protecting(key.stem) for key in keys]
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=MODE, parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_dir(each.parent)
    written = []
    for key, protection in zip(keys, protections, strict=True):
        path = folder / f"{key.stem}{SUFFIX}"
        save_key(path, key.key, key.role, protection)
        written.append(path)
    return written
