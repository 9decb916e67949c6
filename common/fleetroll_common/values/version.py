"""Versions by the rules of Semantic Versioning 2.0.0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

MAX_VERSION_CHARS = 64
"""Longer ones are refused: a version is part of paths and of every row."""

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_PRE = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PATTERN = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PRE}(?:\.{_PRE})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", re.ASCII
)


@total_ordering
@dataclass(frozen=True)
class Version:
    """One version. Build metadata takes no part in order and equality, as the standard says."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, field: str = "version") -> Version:
        """Read ``text``, such as ``1.4.2-rc.1+g12ab``.

        Raises:
            RequestError: ``text`` is no semantic version or is longer than 64 characters (caller's fault).
        """
        match = _PATTERN.fullmatch(text) if len(text) <= MAX_VERSION_CHARS else None
        if match is None:
            message = f"{field}: {text[:MAX_VERSION_CHARS]!r} is not a semantic version"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="write it like 1.4.2 or 1.4.2-rc.1", field=field
            )
        major, minor, patch, pre, build = match.groups()
        return cls(
            int(major),
            int(minor),
            int(patch),
            tuple(pre.split(".")) if pre else (),
            tuple(build.split(".")) if build else (),
        )

    @property
    def is_dev(self) -> bool:
        """Tell whether this is an unstamped or dirty build, which is never published and never behind."""
        return self.build[:1] == ("dev",) or "dirty" in self.build

    def _key(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        """Return what is compared: a version without pre-release part is above the same one with it."""
        parts = tuple((not p.isdigit(), int(p) if p.isdigit() else 0, "" if p.isdigit() else p) for p in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, parts)

    def __eq__(self, other: object) -> bool:
        """Compare by precedence: build metadata is ignored."""
        return self._key() == other._key() if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        """Order by precedence."""
        return self._key() < other._key()

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(self._key())

    def __str__(self) -> str:
        """Return the canonical text."""
        pre = f"-{'.'.join(self.pre)}" if self.pre else ""
        build = f"+{'.'.join(self.build)}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"


UNSTAMPED = Version(0, 0, 0, build=("dev",))
"""What a program calls itself when nobody stamped a version into it."""
