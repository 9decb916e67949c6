"""Which files of which distributions an agent takes along: an allow-list, so that nothing reaches hosts by accident.

What a distribution's own RECORD lists is taken, save what no running agent reads: an installer's byte code (the
artefact has its own), stubs, sources of compiled parts, tests, scripts, and the installer's notes, which hold paths of
the building machine. Licences and METADATA stay.
"""

from __future__ import annotations

import fnmatch
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_publishing.artefact.content import Content

_DROPPED = (
    "../*",
    "/*",
    "*/__pycache__/*",
    "__pycache__/*",
    "*.pyc",
    "*.pyi",
    "*.pth",
    "*.pyx",
    "*.pxd",
    "*.pxi",
    "*.c",
    "*.h",
    "*.sh",
    "*/py.typed",
    "*/README.md",
    "*/test/*",
    "*/tests/*",
    "*/testdata/*",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/WHEEL",
    "*.dist-info/direct_url.json",
    "*.dist-info/top_level.txt",
    "*.dist-info/entry_points.txt",
    "*.dist-info/sboms/*",
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """One distribution: ``only`` narrows it to some patterns (licences always stay), ``without`` drops more of it.

    From the Python version ``until`` on the standard library has what the distribution is for, and it is left out.
    """

    name: str
    only: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = ()
    until: tuple[int, int] | None = None

    def is_needed(self, python: tuple[int, ...] = sys.version_info[:2]) -> bool:
        """Tell whether an artefact for the version ``python``, the running one's by default, takes it along."""
        return self.until is None or python < self.until


AGENT_DISTRIBUTIONS = (
    Allowed("grpcio"),
    Allowed("protobuf"),
    Allowed("pynacl"),
    # The compiled half is all that PyNaCl loads; the compiler in front of it and its parser are for builders.
    Allowed("cffi", only=("_cffi_backend*", "cffi.libs/*")),
    # Its two back-ends have 12 MB each; CPython uses the other one.
    Allowed("zstandard", without=("zstandard/_cffi*", "zstandard/backend_cffi.py")),
    Allowed("tuf", without=("tuf/repository/*", "tuf/ngclient/requests_fetcher.py")),
    Allowed("securesystemslib"),
    # Reads mirrors; tuf's own fetcher, which the agent does not use, imports it too.
    Allowed("urllib3"),
    Allowed("structlog", without=("structlog/twisted.py",)),
    Allowed("tomli", until=(3, 11)),
    Allowed("typing_extensions"),
    # The zones alone: what tables and sources of them lie beside is read by no program.
    Allowed("tzdata", without=("tzdata/zones", "tzdata/zoneinfo/*.tab", "tzdata/zoneinfo/tzdata.zi", "*/leapseconds")),
)


def add_distribution(content: Content, allowed: Allowed) -> None:
    """Add what ``allowed`` lets through, from the running environment.

    Raises:
        RequestError: the distribution is not installed, or not from a wheel (caller's fault).
    """
    try:
        files = metadata.distribution(allowed.name).files
    except metadata.PackageNotFoundError as error:
        raise _unusable(allowed.name, "is not installed here") from error
    if not files:
        raise _unusable(allowed.name, "does not say which files it has")
    for path, place in _chosen(files, allowed):
        content.add_file(path, place)


def _chosen(files: list[metadata.PackagePath], allowed: Allowed) -> Iterator[tuple[str, Path]]:
    """Yield path in the artefact and place on this machine of what is taken, sorted."""
    for file in sorted(files, key=str):
        path = file.as_posix()
        wanted = ".dist-info/" in path or _matches(path, allowed.only)
        if wanted and not _matches(path, _DROPPED + allowed.without):
            yield path, Path(str(file.locate()))


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether one of the patterns fits; case counts on every system."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _unusable(name: str, fault: str) -> RequestError:
    """Return the error for an environment that an agent can't be built from."""
    message = f"artefact: the distribution {name} {fault}"
    return RequestError(message, code=Code.NOT_FOUND, remedy="set the environment up again", distribution=name)
