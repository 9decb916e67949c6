"""The secret of release manifests: from a file that is named, else from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET_VARIABLE = "RELEASE_SIGNING_SECRET"  # noqa: S105 (the name of the variable)
_MAX_SECRET_BYTES = 64 * 1024


def manifest_secret(file: Path | None, environment: Mapping[str, str], remedy: str) -> bytes:
    """Return the secret, never empty. Line ends that close the file are no part of it.

    Args:
        file: where it lies; None = not in a file.
        environment: of the process.
        remedy: what to do where there is none.

    Raises:
        RequestError: NOT_ALLOWED: there is none, it is empty, or the file can't be read (operator's fault).
    """
    if file is None:
        found, where = environment.get(SECRET_VARIABLE, "").encode("utf-8", "surrogateescape"), SECRET_VARIABLE
    else:
        found, where = _read(file, remedy), str(file)
    if not found:
        raise _none(f"secret: {where} holds none", remedy)
    return found


def _read(file: Path, remedy: str) -> bytes:
    """Return what the file holds."""
    try:
        with file.open("rb") as stream:
            return stream.read(_MAX_SECRET_BYTES).rstrip(b"\r\n")
    except OSError as error:
        raise _none(f"secret: {file} can't be read: {error.strerror}", remedy) from error


def _none(message: str, remedy: str) -> RequestError:
    """Return the error; it names the place, never what is there."""
    return RequestError(message, code=Code.NOT_ALLOWED, remedy=remedy, field="secret")
