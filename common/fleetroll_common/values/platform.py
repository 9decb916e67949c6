"""What an artefact runs on: operating system, processor, and the interpreter's binary interface."""

from __future__ import annotations

import platform as host_platform
import re
import sys
from dataclasses import dataclass

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

_PART = re.compile(r"[a-z0-9_]{1,24}", re.ASCII)
_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}


def is_platform_part(text: str) -> bool:
    """Tell whether ``text`` can be a part of a platform."""
    return _PART.fullmatch(text) is not None


@dataclass(frozen=True, order=True)
class Platform:
    """One platform; parts are lower case letters, digits and ``_``, at most 24 characters each."""

    os: str
    arch: str
    abi: str

    def __post_init__(self) -> None:
        """Refuse parts that could not stand in a path.

        Raises:
            RequestError: a part is empty, too long or has other characters (caller's fault).
        """
        for name, part in (("os", self.os), ("arch", self.arch), ("abi", self.abi)):
            if _PART.fullmatch(part) is None:
                message = f"platform.{name}: {part[:40]!r} is not a platform part"
                raise RequestError(
                    message, code=Code.INVALID_ARGUMENT, remedy="write it like linux/x86_64/cp311", field=name
                )

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``linux-x86_64-cp311`` or ``linux/x86_64/cp311``.

        Raises:
            RequestError: there are not three valid parts (caller's fault).
        """
        parts = re.split(r"[-/]", text)
        if len(parts) != 3:  # noqa: PLR2004 (os, arch, abi)
            message = f"platform: {text[:80]!r} has not three parts"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="write it like linux/x86_64/cp311", field="platform"
            )
        return cls(*parts)

    @classmethod
    def current(cls) -> Platform:
        """Return the platform of the running interpreter."""
        machine = host_platform.machine().lower()
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return cls(host_platform.system().lower(), _ARCH.get(machine, machine), tag)

    def __str__(self) -> str:
        """Return the form that stands in paths."""
        return f"{self.os}-{self.arch}-{self.abi}"
