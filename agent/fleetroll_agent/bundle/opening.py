"""From what a person typed to a source: a bundle's file, a mirror's folder, or a mirror's address."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent.bundle.files import BundleMetadata, BundleTargets, MirrorMetadata
from fleetroll_agent.bundle.index import read_index
from fleetroll_agent.bundle.source import Source
from fleetroll_agent.fetch.mirrors import MirrorSource
from fleetroll_agent.fetch.patterns import PLACE, parse_pattern
from fleetroll_common.trust.bundle import TARGETS
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError

if TYPE_CHECKING:
    from fleetroll_common.values.clock import Clock

MAX_CHARS = 4096
"""The longest path that a system takes."""


def open_source(text: str, clock: Clock | None = None, *, bundles: bool = True) -> Source:
    """Return the repository that ``text`` names. Blocks: a bundle's headers are read. Nothing has to be closed.

    A mirror is a network path even where it is a folder: it may be a share that others write to. So expiry is waived
    for a bundle's file alone.

    Args:
        text: the absolute path of a bundle's file or of a mirror's folder; or a mirror's address, below which
            ``metadata/`` and ``targets/`` are found, by the rules for mirrors in the settings. Where it holds
            ``{path}``, that is the place for these names.
        clock: bounds how long a mirror may take for a file of metadata; None = the system's.
        bundles: whether a bundle's file will do. MUST be False where no person is there, for whom its expiry is waived.

    Raises:
        RequestError: INVALID_ARGUMENT: it is none of these, or not there, or a file where none will do (whoever
            typed it).
        AgentError: UNAVAILABLE: the share or the disk does not say (the host's fault; another try may do).
        TrustError: HOSTILE_ARCHIVE: the file is no bundle, or one that nobody honest makes.
    """
    if not text.isprintable() or not 0 < len(text) <= MAX_CHARS:
        raise _invalid(text, f"is no path and no address of at most {MAX_CHARS} printable characters")
    if "://" in text or text.startswith("file:"):
        return _mirror(text, text, clock)
    if not text.startswith("/"):
        raise _invalid(text, "is no absolute path, and no address")
    mode = _mode(text)
    if stat.S_ISDIR(mode):
        return _mirror(text, Path(text).as_uri(), clock)
    if not bundles:
        raise _no_mirror(text, is_there=bool(mode))
    index = read_index(text)
    targets = BundleTargets(text, index)
    return Source(text, BundleMetadata(text, index), targets, targets.holds, is_bundle=True)


def _mirror(name: str, address: str, clock: Clock | None) -> Source:
    """Return a mirror, by its address or the pattern of its addresses."""
    pattern = address if PLACE in address else f"{address.rstrip('/')}/{PLACE}"
    metadata = MirrorMetadata(parse_pattern(pattern), clock or SystemClock())
    targets = MirrorSource(pattern.replace(PLACE, TARGETS + PLACE))
    return Source(name, metadata, targets, _perhaps, is_bundle=False)


def _perhaps(_path: str) -> bool:
    """A mirror is asked for what is listed: it is complete, or says so when the bytes are wanted."""
    return True


def _mode(path: str) -> int:
    """Return what stands at a path, as the mode of stat; 0 = nothing does.

    Raises:
        AgentError: UNAVAILABLE: that can't be seen.
    """
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        text = f"source: {path[:200]!r} can't be looked at: {error.strerror or error}"
        remedy = "see to the share, the disk, or the rights of its folders; then run it again"
        raise AgentError(text, code=Code.UNAVAILABLE, remedy=remedy) from error


def _no_mirror(text: str, *, is_there: bool) -> RequestError:
    """Return the error of a place that is no mirror, for what takes mirrors alone."""
    fault = "is a file: a bundle is carried, and started by a person" if is_there else "is not there"
    return RequestError(
        f"source: {text[:200]!r} {fault}",
        code=Code.INVALID_ARGUMENT,
        remedy="name a mirror's folder or address; for a bundle run: fleetroll-agent update --bundle FILE",
        field="source",
    )


def _invalid(text: str, fault: str) -> RequestError:
    """Return the error of whoever typed it."""
    return RequestError(
        f"source: {text[:200]!r} {fault}",
        code=Code.INVALID_ARGUMENT,
        remedy="name a bundle's file or a mirror's folder by its absolute path, or a mirror by its https address",
        field="source",
    )
