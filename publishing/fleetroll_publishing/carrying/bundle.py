"""Writing a bundle: one file with the whole chain of metadata and the artefacts of some releases.

The same repository and the same wish give the same bytes. (The timestamp is signed again each hour: that makes it
another repository.) The file is there when it is whole, and not before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.durable import stream_durably
from fleetroll_common.trust import bundle
from fleetroll_common.values import ustar
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying.chain import read_chain
from fleetroll_publishing.carrying.choice import BundleWish, of_bundle
from fleetroll_publishing.carrying.fetching import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from fleetroll_common.trust import ListedTarget
    from fleetroll_common.values.clock import Clock
    from fleetroll_publishing.carrying.chain import Chain, Remote


_MODE = 0o644


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A bundle on this machine's disk.

    Attributes:
        path: of the file.
        length: bytes of the file.
        sha256: of the file, hex: for whoever carries it, to compare; hosts go by signatures alone.
        targets: paths of the artefacts in it.
    """

    path: Path
    length: int
    sha256: str
    targets: tuple[str, ...]


def write_bundle(
    out: Path, remote: Remote, wish: BundleWish, clock: Clock, on_fetch: Callable[[ListedTarget], None] | None = None
) -> BuiltBundle:
    """Fetch what ``wish`` names and write it to ``out``, whose earlier content is replaced. Blocks.

    Args:
        out: the file to make, in an existing folder.
        remote: where everything is fetched from.
        wish: which releases, for which platforms.
        clock: of this machine.
        on_fetch: told before each artefact is fetched.

    Raises:
        RequestError: a release is not listed, or too many are wanted (caller's fault).
        TrustError: the repository can't be trusted.
        OSError: this machine's disk refused.
    """
    chain = read_chain(remote, clock)
    targets = of_bundle(chain.listed, wish)
    if len(chain.files) + len(targets) > bundle.MAX_ENTRIES:
        text = f"the bundle would hold more than {bundle.MAX_ENTRIES} files"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy="name fewer releases or platforms")
    measured = _Measured(_tar(chain, targets, remote, on_fetch))
    stream_durably(out, measured, _MODE)
    return BuiltBundle(out, measured.length, measured.digest.hexdigest(), tuple(target.path for target in targets))


def _tar(
    chain: Chain,
    targets: Iterable[ListedTarget],
    remote: Remote,
    on_fetch: Callable[[ListedTarget], None] | None,
) -> Iterator[bytes]:
    """Yield the bundle piece by piece."""
    for name, data in chain.files.items():
        yield from _entry(bundle.METADATA + name, len(data), (data,))
    for target in targets:
        if on_fetch is not None:
            on_fetch(target)
        yield from _entry(bundle.TARGETS + target.path, target.length, checked(remote, target))
    yield ustar.END


def _entry(name: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield one file with its header, and zeros up to the next block."""
    yield bundle.header(name, size)
    yield from pieces
    yield bytes(ustar.padded(size) - size)


class _Measured:
    """Pieces that are counted and hashed as they are taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.length = 0
        self.digest = hashlib.sha256()
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.digest.update(piece)
            self.length += len(piece)
            yield piece
