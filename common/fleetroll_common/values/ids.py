"""Identifiers: random ones with a prefix that says what they name, and the attempt id."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Protocol

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

_ID_BYTES = 16
"""128 random bits: ids are made on many machines without asking each other."""


class IdSource(Protocol):
    """Where random bytes come from; tests use a source that repeats."""

    def token(self, size: int) -> bytes:
        """Return ``size`` random bytes fit for keys."""

    def new(self, prefix: str) -> str:
        """Return a fresh id such as ``agent-q3k…`` (prefix, dash, 26 letters and digits)."""


class SystemIds:
    """Random bytes of the operating system."""

    def token(self, size: int) -> bytes:
        """Return ``size`` random bytes."""
        return os.urandom(size)

    def new(self, prefix: str) -> str:
        """Return a fresh id with ``prefix``."""
        return f"{prefix}-{_letters(os.urandom(_ID_BYTES))}"


class SequentialIds:
    """The same ids at every run, for tests: derived from a seed and a counter."""

    def __init__(self, seed: str = "") -> None:
        """Start counting at 0 under ``seed``."""
        self._seed = seed
        self._count = 0

    def token(self, size: int) -> bytes:
        """Return ``size`` bytes (at most 64) that no other call returns."""
        self._count += 1
        return hashlib.sha512(f"{self._seed}:{self._count}".encode()).digest()[:size]

    def new(self, prefix: str) -> str:
        """Return the next id with ``prefix``."""
        return f"{prefix}-{_letters(self.token(_ID_BYTES))}"


def attempt_id(agent_id: str, product: str, generation: int) -> str:
    """Return the one id of an attempt, which is its trace id from the click to the host's journal."""
    return f"{agent_id}/{product}/{generation}"


def local_attempt_id(agent_id: str, product: str, number: int) -> str:
    """Return the one id of an attempt that was started on the host."""
    return f"{agent_id}/{product}/local:{number}"


def parse_attempt_id(text: str) -> tuple[str, str, int]:
    """Return (agent id, product, generation).

    Raises:
        RequestError: ``text`` is not of that form (caller's fault).
    """
    parts = text.split("/")
    if len(parts) != 3 or not parts[2].isascii() or not parts[2].isdigit():  # noqa: PLR2004 (agent, product, generation)
        message = f"attempt: {text[:120]!r} is not an attempt id"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="write it like agent-x/agent/7", field="attempt")
    return parts[0], parts[1], int(parts[2])


def _letters(raw: bytes) -> str:
    """Write ``raw`` in lower-case base 32 without padding."""
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
