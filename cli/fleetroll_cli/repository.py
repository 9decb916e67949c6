"""The server's signed repository as a remote one that is read from: files over the admin channel."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from fleetroll.v1 import releases_pb2
from fleetroll_client import ServerRefusedError, translate
from fleetroll_common.trust import MetadataAbsent
from fleetroll_common.trust.bundle import METADATA, TARGETS
from fleetroll_common.values.codes import Code

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from fleetroll_client import AdminClient

METADATA_SECONDS = 30.0
"""For one file of metadata, 4 MiB at most."""
TARGET_SECONDS = 6 * 3600.0
"""For one artefact: 4 GiB over a line of 200 KiB/s. A line on which nothing comes is noticed by its keepalive."""


class ServerRepository:
    """The repository of the server that a client speaks to."""

    def __init__(self, client: AdminClient) -> None:
        """Ask over ``client``."""
        self._client = client

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the metadata file ``name``, or one byte more than ``max_bytes`` of it.

        Raises:
            MetadataAbsent: there is none.
            ServerRefusedError: it can't be had.
        """
        data = bytearray()
        try:
            with closing(self._stream(METADATA + name, METADATA_SECONDS)) as pieces:
                for piece in pieces:
                    data += piece
                    if len(data) > max_bytes:
                        break
        except ServerRefusedError as error:
            if error.code is Code.NOT_FOUND:
                raise MetadataAbsent(name) from error
            raise
        return bytes(data[: max_bytes + 1])

    def target(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of the target ``path``.

        Raises:
            ServerRefusedError: it can't be had.
        """
        return self._stream(TARGETS + path, TARGET_SECONDS)

    def _stream(self, name: str, seconds: float) -> Generator[bytes]:
        """Yield a file; a caller that has enough closes the generator, which ends the call."""
        request = releases_pb2.GetRepositoryFileRequest(name=name)
        with translate():
            call = self._client.releases.GetRepositoryFile(request, timeout=seconds)
            try:
                for answer in call:
                    yield answer.chunk
            finally:
                call.cancel()
