"""Which key file holds which key: the public half stands there in clear, so that no passphrase is asked in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.durable import DamagedRecord, load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keys import KEY_FILE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


def keys_in(folder: Path) -> tuple[Path, ...]:
    """Return the key files in ``folder``, by name; other files are passed over.

    Raises:
        RequestError: NOT_FOUND: there is no such folder, or no key in it (caller's fault).
    """
    found = (
        tuple(path for path in sorted(folder.iterdir()) if path.is_file() and public_of(path))
        if folder.is_dir()
        else ()
    )
    if not found:
        message = f"keys: there is no key file in {str(folder)!r}"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="name the folder of the key files", path=str(folder))
    return found


def public_of(path: Path) -> str:
    """Return the public half, in hex, that a key file says it holds; empty for a file of another kind.

    Raises:
        RequestError: NOT_FOUND: there is no such file (caller's fault).
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(KEY_FILE_BYTES_MAX + 1)
        return str(load_record(data).get("public", "")) if len(data) <= KEY_FILE_BYTES_MAX else ""
    except DamagedRecord:
        return ""
    except FileNotFoundError as error:
        message = f"there is no key file {path.name!r}"
        raise RequestError(
            message, code=Code.NOT_FOUND, remedy="bring the key's file, or name another one", path=str(path)
        ) from error


def files_of(publics: Collection[str], files: Sequence[Path]) -> tuple[Path, ...]:
    """Return those of ``files`` that hold one of the keys, each key once."""
    by_public = {public_of(path): path for path in reversed(files)}
    return tuple(by_public[public] for public in sorted(publics) if public in by_public)
