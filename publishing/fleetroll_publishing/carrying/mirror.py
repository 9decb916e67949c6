"""Keeping a mirror: the signed repository as plain files in a folder, for any web server or share.

A host that reads while the mirror is updated finds a whole repository: artefacts come first, then the metadata in the
order in which one file names the other, and the timestamp last. Each file is either the old one or the new one. Nothing
is taken away: a host may be in the middle of an older snapshot.

One moment is left, when a new root exchanges the online keys: between its rename and that of the timestamp the two
don't fit together. Hosts refuse that and try again; an update that was killed just there is ended by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.durable import stream_durably, sync_dir, write_durably
from fleetroll_common.trust.bundle import METADATA, TARGETS
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying.chain import FIRST_ROOT, read_chain
from fleetroll_publishing.carrying.choice import MirrorWish, of_mirror
from fleetroll_publishing.carrying.fetching import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleetroll_common.trust import ListedTarget
    from fleetroll_common.values.clock import Clock
    from fleetroll_publishing.carrying.chain import Remote

LOCK_NAME = ".lock"
_MODE = 0o644
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UpdatedMirror:
    """What an update did.

    Attributes:
        metadata: files of metadata that were written; 0 when the repository has not changed.
        fetched: paths of the artefacts that were fetched.
        fetched_bytes: of these.
        kept: artefacts that were there already, with the signed hash.
        root_sha256: of the first root, hex: what hosts pinned at their enrolment.
    """

    metadata: int
    fetched: tuple[str, ...]
    fetched_bytes: int
    kept: int
    root_sha256: str


def update_mirror(
    folder: Path, remote: Remote, wish: MirrorWish, clock: Clock, on_fetch: Callable[[ListedTarget], None] | None = None
) -> UpdatedMirror:
    """Bring the mirror in ``folder`` up to date, or begin it. Blocks.

    Args:
        folder: made where it is not there.
        remote: where everything is fetched from.
        wish: whose artefacts; metadata is always complete.
        clock: of this machine.
        on_fetch: told before each artefact is fetched.

    Raises:
        RequestError: there is no such product; LOCKED: another update of this mirror is under way (caller's fault).
        TrustError: the repository can't be trusted, is another one than the mirror's, or older than the mirror.
        OSError: this machine's disk refused.
    """
    for part in (METADATA, TARGETS):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        known = _known(folder / METADATA)
        chain = read_chain(remote, clock, known)
        targets = of_mirror(chain.listed, wish)
        missing = [target for target in targets if not _is_right(folder / TARGETS / target.path, target)]
        for target in missing:
            if on_fetch is not None:
                on_fetch(target)
            _fetch(folder / TARGETS, target, remote)
        changed = [name for name, data in chain.files.items() if known.get(name) != data]
        for name in changed:
            write_durably(folder / METADATA / name, chain.files[name], _MODE)
    return UpdatedMirror(
        metadata=len(changed),
        fetched=tuple(target.path for target in missing),
        fetched_bytes=sum(target.length for target in missing),
        kept=len(targets) - len(missing),
        root_sha256=hashlib.sha256(chain.files[FIRST_ROOT]).hexdigest(),
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the mirror: two updates at a time would take each other's files away."""
    handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    """Take the lock, or say who may have it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        text = f"another update of the mirror {folder} is under way"
        raise RequestError(text, code=Code.LOCKED, remedy="wait for its end") from error


def _known(folder: Path) -> dict[str, bytes]:
    """Return the metadata that is there."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json")) if path.is_file()}


def _is_right(path: Path, target: ListedTarget) -> bool:
    """Tell whether the artefact is there as it was signed: compared anew each time, for a host will compare it too."""
    if not path.is_file() or path.stat().st_size != target.length:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest() == target.sha256


def _fetch(folder: Path, target: ListedTarget, remote: Remote) -> None:
    """Put one artefact into its place, whole and durable."""
    path = folder / target.path
    path.parent.mkdir(parents=True, exist_ok=True)
    stream_durably(path, checked(remote, target), _MODE)
    for parent in (path.parent.parent, folder):
        sync_dir(parent)
