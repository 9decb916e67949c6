"""Uploads of bytes that a commit which is signed here will list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2 as pb
from fleetroll_cli.output import note
from fleetroll_client import translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fleetroll_cli.progress import Advance
    from fleetroll_client import AdminClient

PUBLISH_SECONDS = 6 * 3600.0
"""How long one upload may take in all: 4 GiB over a line of 200 KiB/s. A server that hears nothing ends it sooner."""


def stage(client: AdminClient, path: str, sha256: str, length: int, chunks: Iterable[bytes], advance: Advance) -> None:
    """Upload the bytes of the target ``path``.

    Raises:
        ServerRefusedError: they are other bytes than was said, or can't be stored.
    """

    def messages() -> Iterator[pb.StageTargetRequest]:
        yield pb.StageTargetRequest(header=pb.StageTargetHeader(sha256=bytes.fromhex(sha256), length=length))
        for chunk in chunks:
            yield pb.StageTargetRequest(chunk=chunk)
            advance(len(chunk))

    with translate():
        answer = client.releases.StageTarget(messages(), timeout=PUBLISH_SECONDS)
    if answer.was_there:
        note(f"{path} was there already")
