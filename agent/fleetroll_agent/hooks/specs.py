"""How a product's health is asked for, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class HttpHealth:
    """A page says so. Redirects are not followed: a login page answers 200 too.

    Attributes:
        url: http or https, of any host; the certificate of https is verified against the host's authorities.
        status: that the answer must have.
        contains: text that must be in the first 64 KiB of its body; empty = any body will do.
        version_field: where in a JSON body the running version stands, names joined by dots, numbers for places in
            lists; empty = the page does not tell.
        limit_seconds: for the whole of it, name look-up included.
    """

    url: str
    status: int = 200
    contains: str = ""
    version_field: str = ""
    limit_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class TcpHealth:
    """A port takes connections, within ``limit_seconds``."""

    host: str
    port: int
    limit_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class CommandHealth:
    """A command ends with 0 within ``limit_seconds``; ``user`` empty = it runs as the agent."""

    argv: tuple[str, ...]
    cwd: Path = ROOT
    user: str = ""
    limit_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class UnitHealth:
    """systemd calls the unit active, within ``limit_seconds``."""

    unit: str
    limit_seconds: float = 10.0


Spec = HttpHealth | TcpHealth | CommandHealth | UnitHealth


@dataclass(frozen=True, slots=True)
class Health:
    """One answer.

    Attributes:
        healthy: whether all that was asked for holds.
        message: what was found, in words.
        version: that the product says it runs; empty = it was not asked.
    """

    healthy: bool
    message: str
    version: str = ""
