"""One page by HTTP: a request, a bounded answer, no redirect. All of it on the loop: a limit ends it at once."""

from __future__ import annotations

import asyncio
import io
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPMessage

MAX_BODY_BYTES = 64 * 1024
MAX_HEAD_BYTES = 32 * 1024
_MAX_INTERIM = 5
"""Answers such as 103 that come before the real one."""
_NO_BODY = frozenset({204, 304})


class PageError(Exception):
    """The page could not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its status, the beginning of its body, and whether there was more than 64 KiB of that."""

    status: int
    body: bytes
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    secure: bool
    host: str
    port: int
    request: bytes


async def get_page(url: str) -> Page:
    """Return the answer to a GET of ``url``. It has no time limit of its own.

    Raises:
        PageError: the address can't be asked, or the answer is no HTTP.
        OSError: no connection, or a certificate that is not trusted.
    """
    place = _place(url)
    tls = await asyncio.to_thread(ssl.create_default_context) if place.secure else None
    reader, writer = await asyncio.open_connection(place.host, place.port, ssl=tls, limit=MAX_HEAD_BYTES)
    try:
        writer.write(place.request)
        status, headers = await _head(reader)
        if status in _NO_BODY:
            return Page(status, b"")
        return await _body(reader, status, headers)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise PageError("the answer is not whole, or is no HTTP") from error
    finally:
        writer.transport.abort()


def _place(url: str) -> _Place:
    """Read the address; nothing in it may reach the request that is more than one line of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PageError(f"url: {url!r:.200} is not an address") from error
    host = parts.hostname or ""
    plain = url.isascii() and url.isprintable() and " " not in url
    if not plain or not host or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise PageError(f"url: {url!r:.200} is not an http or https address without user and password")
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: fleetroll-agent",
        "Accept: */*",
        "Connection: close",
    )
    request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")
    return _Place(secure, host, port or (443 if secure else 80), request)


async def _head(reader: asyncio.StreamReader) -> tuple[int, HTTPMessage]:
    """Return status and headers of the answer; those that only announce it are passed over."""
    from http.client import HTTPException, parse_headers  # noqa: PLC0415 (most hosts ask for no page)

    for _ in range(_MAX_INTERIM):
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        words = line.decode("latin-1").split(maxsplit=2)
        if len(words) < 2 or not words[0].startswith("HTTP/1."):  # noqa: PLR2004 (version and status)
            raise ValueError("not HTTP")
        status = int(words[1])
        if not 100 <= status < 200:  # noqa: PLR2004 (the interim ones)
            try:
                return status, parse_headers(io.BytesIO(rest))
            except HTTPException as error:
                raise ValueError("no headers") from error
    raise ValueError("only interim answers")


async def _body(reader: asyncio.StreamReader, status: int, headers: HTTPMessage) -> Page:
    """Return the page: its body as the headers say, or to the end of the connection."""
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        body = await _chunks(reader)
    elif "Content-Length" in headers:
        length = int(headers["Content-Length"])
        body = await reader.readexactly(max(0, min(length, MAX_BODY_BYTES + 1)))
    else:
        body = await _up_to(reader, MAX_BODY_BYTES + 1)
    return Page(status, body[:MAX_BODY_BYTES], cut=len(body) > MAX_BODY_BYTES)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) <= MAX_BODY_BYTES:
        size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
        if size <= 0:
            break
        body += await reader.readexactly(min(size, MAX_BODY_BYTES + 1 - len(body)))
        if len(body) <= MAX_BODY_BYTES:
            await reader.readexactly(2)
    return body


async def _up_to(reader: asyncio.StreamReader, size: int) -> bytes:
    body = b""
    while len(body) < size:
        piece = await reader.read(size - len(body))
        if not piece:
            break
        body += piece
    return body
