"""What an artefact runs on: operating system, processor, and the interpreter's binary interface.

A host has all three. An artefact need not depend on all of them: ``any`` stands for what it does not depend on, from
the last part on. So there are four places where a host finds one, and :meth:`Platform.candidates` lists them.
"""

from __future__ import annotations

import platform as host_platform
import re
import sys
from dataclasses import dataclass

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

ANY = "any"
"""The part that an artefact does not depend on."""

_PARTS = 3
_REMEDY = "write it like linux/x86_64/cp311, linux/x86_64, linux/any or any"
_PART = re.compile(r"[a-z0-9_]{1,24}", re.ASCII)
_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}


def is_platform_part(text: str) -> bool:
    """Tell whether ``text`` can be a part of a platform."""
    return _PART.fullmatch(text) is not None


@dataclass(frozen=True, order=True)
class Platform:
    """One platform; parts are lower case letters, digits and ``_``, at most 24 characters each.

    After a part that is ``any`` all parts are ``any``: nobody would look for another one.
    """

    os: str
    arch: str
    abi: str

    def __post_init__(self) -> None:
        """Refuse parts that could not stand in a path.

        Raises:
            RequestError: a part is empty, too long, has other characters, or follows ``any`` (caller's fault).
        """
        parts = (self.os, self.arch, self.abi)
        for name, part in zip(("os", "arch", "abi"), parts):  # noqa: B905 (three of each)
            if _PART.fullmatch(part) is None:
                message = f"platform.{name}: {part[:40]!r} is not a platform part"
                raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=_REMEDY, field=name)
        known = parts.index(ANY) if ANY in parts else _PARTS
        if set(parts[known:]) - {ANY}:
            message = f"platform: {self} names something behind a part that is {ANY}"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=_REMEDY, field="platform")

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``linux-x86_64-cp311`` or ``linux/x86_64/cp311``.

        An abi that is left out is ``any``; the one word ``any`` is every platform.

        Raises:
            RequestError: there are not two or three valid parts (caller's fault).
        """
        parts = re.split(r"[-/]", text)
        if len(parts) > _PARTS or (len(parts) == 1 and text != ANY):
            message = f"platform: {text[:80]!r} has not two or three parts"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=_REMEDY, field="platform")
        return cls(*parts, *[ANY] * (_PARTS - len(parts)))

    @classmethod
    def said(cls, os: str, arch: str, abi: str) -> Platform | None:
        """Return the platform that a host has told; None when it told none that can be."""
        try:
            return cls(os, arch, abi)
        except RequestError:
            return None

    @classmethod
    def current(cls) -> Platform:
        """Return the platform of the running interpreter."""
        machine = host_platform.machine().lower()
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return cls(host_platform.system().lower(), _ARCH.get(machine, machine), tag)

    @property
    def is_whole(self) -> bool:
        """Tell whether every part is named."""
        return ANY not in {self.os, self.arch, self.abi}

    def candidates(self) -> tuple[Platform, ...]:
        """Return what artefacts for this host may be built for, the most specific first."""
        wider = (self, Platform(self.os, self.arch, ANY), Platform(self.os, ANY, ANY), Platform(ANY, ANY, ANY))
        return tuple(dict.fromkeys(wider))

    def covers(self, host: Platform) -> bool:
        """Tell whether an artefact for this platform runs on ``host``."""
        return self in host.candidates()

    def __str__(self) -> str:
        """Return the form that stands in paths."""
        return f"{self.os}-{self.arch}-{self.abi}"
