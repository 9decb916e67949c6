"""One target over HTTP, read by one thread; blocking. Another thread may make it leave.

- Certificates are checked against the system's store; there is no way to turn that off.
- A server that ignores the range is read from its first byte.
- At most three redirects, each to where a mirror may lead (see :mod:`fleetroll_agent.fetch.patterns`).
- Nothing is read ahead but what the system's socket holds: the sender is slowed down by whoever reads slowly. Under a
  cap the socket is made so small that filling it is no burst.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from fleetroll_agent.fetch.patterns import led_to
from fleetroll_agent.fetch.values import Absent, SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse, PoolManager

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""Ends a thread that nobody listens to any more; the download's own limit (30 s by default) is meant to come first."""
PIECE_BYTES = 64 * 1024
MAX_REDIRECTS = 3
CAPPED_SECONDS = 0.25
"""What a socket may hold under a cap: 2.5 % of ten seconds, and enough for a line with a quarter of a second there and
back. Without a bound the system lets it grow to megabytes (6 measured), many seconds of a small cap."""
LEAST_BUFFER_BYTES, MOST_BUFFER_BYTES = 16 * 1024, 4 * 1024 * 1024
"""Less would slow down more than the cap does; more is what the system chooses by itself."""

_OK, _PARTIAL, _NO_SUCH_RANGE = 200, 206, 416
_ABSENT = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]*/[0-9*]+", re.ASCII)


class WebReader:
    """Reads one address once."""

    def __init__(self, url: str, cap: int | None = None) -> None:
        """Prepare to read ``url`` under a cap in bytes per second; None = no cap."""
        self._url = url
        self._buffer_bytes = buffer_bytes(cap)
        self._pool: PoolManager | None = None
        self._response: BaseHTTPResponse | None = None
        self._lock = threading.Lock()
        self._left = False

    def begin(self, offset: int) -> int:
        """Ask for the bytes from ``offset`` on; return how many come before them and have to be skipped.

        Raises:
            SourceFailed: there are none.
        """
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(url, offset)
            if response.status not in _REDIRECTS:
                return _skip_bytes(response, offset)
            url = led_to(url, response.headers.get("Location", ""))
            response.close()
        raise SourceFailed(f"redirects more than {MAX_REDIRECTS} times")

    def read(self) -> bytes:
        """Return the next bytes, at most 64 KiB, as soon as there are any; empty at the end.

        Raises:
            SourceFailed: the connection broke.
        """
        assert self._response is not None, "read before begin"  # noqa: S101 (the caller's order)
        with _in_words():
            return self._response.read1(PIECE_BYTES, decode_content=False) or b""

    def leave(self) -> None:
        """Make a read that is under way in another thread end soon. Does not block."""
        with self._lock:
            self._left = True
            if self._response is not None:
                with contextlib.suppress(OSError, ValueError, RuntimeError):
                    self._response.shutdown()

    def close(self) -> None:
        """Close the connection, in the thread that reads."""
        with contextlib.suppress(OSError, ValueError):
            if self._response is not None:
                self._response.close()
            if self._pool is not None:
                self._pool.clear()

    def _ask(self, url: str, offset: int) -> BaseHTTPResponse:
        """Return the answer of one server, its body unread."""
        with _in_words():
            if self._pool is None:
                self._pool = _pool(self._buffer_bytes)
            headers = {"User-Agent": "fleetroll-agent", "Accept-Encoding": "identity"}
            if offset:
                headers["Range"] = f"bytes={offset}-"
            response = self._pool.request("GET", url, headers=headers, preload_content=False, redirect=False)
        with self._lock:
            self._response = response
            if self._left:
                raise SourceFailed("nobody listens any more")
        return response


def buffer_bytes(cap: int | None) -> int | None:
    """Return how much a socket may hold under ``cap`` bytes per second; None = as the system likes."""
    wanted = MOST_BUFFER_BYTES if cap is None else int(cap * CAPPED_SECONDS)
    return max(LEAST_BUFFER_BYTES, wanted) if wanted < MOST_BUFFER_BYTES else None


def _pool(buffer: int | None) -> PoolManager:
    """Return what makes connections: no retries, no proxies, certificates always checked."""
    import urllib3  # noqa: PLC0415 (most hosts have no mirror)

    options: list[tuple[int, int, int]] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if buffer is not None:
        options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, buffer))
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS)
    context = ssl.create_default_context()
    return urllib3.PoolManager(ssl_context=context, retries=False, timeout=timeout, socket_options=options)


def _skip_bytes(response: BaseHTTPResponse, offset: int) -> int:
    """Judge an answer; return how many bytes of it to skip."""
    if response.status == _OK:
        return offset
    if response.status == _PARTIAL:
        said = response.headers.get("Content-Range", "")
        found = _RANGE.fullmatch(said)
        if found is None or int(found.group(1)) != offset:
            raise SourceFailed(f"answers with the range {said[:60]!r} to a question for byte {offset}")
        return 0
    if response.status == _NO_SUCH_RANGE:
        raise SourceFailed(f"has no byte {offset} of it (HTTP 416)")
    import http.client  # noqa: PLC0415 (most hosts have no mirror)

    phrase = http.client.responses.get(response.status, "no known status")
    raise (Absent if response.status in _ABSENT else SourceFailed)(f"answers HTTP {response.status} ({phrase})")


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn every fault of a connection in the block into :class:`SourceFailed`."""
    import http.client  # noqa: PLC0415 (see above)

    import urllib3.exceptions as faults  # noqa: PLC0415 (see above)

    try:
        yield
    except faults.NewConnectionError as error:
        raise SourceFailed(f"no connection: {_cause(error)}") from error
    except faults.ConnectTimeoutError as error:
        raise SourceFailed(f"no connection within {CONNECT_SECONDS:g} s") from error
    except faults.ReadTimeoutError as error:
        raise SourceFailed(f"no byte came for {SILENT_SECONDS:g} s") from error
    except faults.SSLError as error:
        raise SourceFailed(f"TLS: {_cause(error)}") from error
    except (faults.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise SourceFailed(f"the connection broke: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Return the words of the fault at the bottom: what lies above it repeats it, with names of classes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error) or type(error).__name__)[:200]
