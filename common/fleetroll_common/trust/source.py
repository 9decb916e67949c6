"""Where metadata files come from, as a port: bytes whose trust comes from signatures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fleetroll_common.trust.library import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    FetcherInterface,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE_URL = "metadata:///"
"""Never leaves this process: the metadata library joins names to it, and they are taken off again."""

_ABSENT = 404


class MetadataAbsent(Exception):  # noqa: N818 (an answer, not a fault: the newest root has no successor)
    """The repository has no file of that name."""


class MetadataSource(Protocol):
    """Gives metadata files by name."""

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the whole file ``name``, such as ``timestamp.json``, ``7.root.json`` or ``3.products%2Fagent.json``.

        It blocks, is called in a thread, and MUST have a deadline of its own. It SHOULD stop reading after
        ``max_bytes`` + 1 bytes: more than ``max_bytes`` are refused in any case.

        Raises:
            MetadataAbsent: there is no such file.
            Exception: any other one means that the file could not be had this time.
        """


class SourceFetcher(FetcherInterface):
    """Shows a :class:`MetadataSource` to the metadata library."""

    def __init__(self, source: MetadataSource) -> None:
        self._source = source

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return the file behind ``url``.

        Raises:
            DownloadHTTPError: absent; the library takes that as "no newer root".
            DownloadLengthMismatchError: longer than ``max_length`` bytes (the repository's fault).
            DownloadError: it could not be had.
        """
        name = url.removeprefix(BASE_URL)
        try:
            data = self._source.fetch(name, max_length)
        except MetadataAbsent as error:
            raise DownloadHTTPError(f"the repository has no {name}", _ABSENT) from error
        except Exception as error:
            raise DownloadError(f"{name} could not be fetched: {error}") from error
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"{name} has more than {max_length} bytes")
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Refuse: target files are fetched, resumed and verified elsewhere."""
        raise DownloadError(f"{url} is no metadata file")
