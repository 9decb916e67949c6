"""The extractor's ways to say no."""

from __future__ import annotations

from typing import NoReturn

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError

_REMEDY = "build and publish the release again; nothing on this host was changed"


def hostile(message: str, cause: Exception | None = None, **details: str) -> NoReturn:
    """Refuse an archive that no honest builder makes."""
    refuse(Code.HOSTILE_ARCHIVE, message, cause, **details)


def refuse(code: Code, message: str, cause: Exception | None = None, **details: str) -> NoReturn:
    """Refuse an archive with the given code.

    Raises:
        TrustError: always.
    """
    text = f"artefact: {message}"
    raise TrustError(text, code=code, remedy=_REMEDY, **details) from cause
