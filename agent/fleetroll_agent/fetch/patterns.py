"""Addresses of mirrors: what a settings file may name, and where a server may lead on to. Pure rules on text.

- ``https``: anywhere; the certificate is always checked.
- ``http``: this host alone (loopback), for a cache that stands beside the agent.
- ``file``: an absolute path on this host, such as a mounted share.

Nothing that a mirror sends is believed, whatever the scheme: TLS keeps from others which versions a host fetches.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from fleetroll_agent.fetch.values import SourceFailed
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

PLACE = "{path}"
MAX_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Pattern:
    """An address with one ``{path}`` in it; ``text`` as it stands in the settings, checked by :func:`parse_pattern`."""

    text: str

    def url(self, path: str) -> str:
        """Return the address of the target ``path``, each segment percent-quoted.

        Raises:
            SourceFailed: a segment is no name: such a target is on no mirror.
        """
        segments = path.split("/")
        if not path.isprintable() or any(segment in {"", ".", ".."} for segment in segments):
            raise SourceFailed(f"{path!r} is no path of a mirror")
        return self.text.replace(PLACE, "/".join(quote(segment, safe="") for segment in segments))


def parse_pattern(text: str) -> Pattern:
    """Return the pattern that ``text`` is.

    Raises:
        RequestError: INVALID_ARGUMENT: it is none, or an address that no mirror may have (whoever wrote it).
    """
    fault = _fault(text)
    if fault:
        message = f"mirror: {text[:200]!r} {fault}"
        remedy = f"write it like https://mirror.example/fleetroll/{PLACE}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="mirror", value=text[:200])
    return Pattern(text)


def led_to(url: str, location: str) -> str:
    """Return where a redirect from ``url`` leads.

    Raises:
        SourceFailed: nowhere, or where no mirror may send a host.
    """
    if not location:
        raise SourceFailed("redirects without saying where to")
    try:
        target = urljoin(url, location).partition("#")[0]
        parts = urlsplit(target)
        fault = _web_fault(parts) if parts.scheme in {"http", "https"} else f"has the scheme {parts.scheme[:20]!r}"
    except ValueError as error:
        raise SourceFailed(f"redirects to {location[:200]!r}, which is no address") from error
    if url.startswith("https:") and parts.scheme == "http":
        raise SourceFailed(f"redirects from https to http, to {target[:200]!r}")
    if fault:
        raise SourceFailed(f"redirects to {target[:200]!r}, which {fault}")
    return target


def file_path(url: str) -> str:
    """Return the path that the file address ``url`` names."""
    return unquote(urlsplit(url).path)


def _fault(text: str) -> str:
    """Say what is wrong with a pattern; empty when nothing is."""
    if not (text.isascii() and text.isprintable()) or " " in text or len(text) > MAX_CHARS:
        return f"is no address of at most {MAX_CHARS} plain characters"
    if text.count(PLACE) != 1 or text.count("{") != 1 or text.count("}") != 1:
        return f"does not hold exactly one {PLACE}, and no other brace"
    try:
        parts = urlsplit(text)
        return _file_fault(parts) if parts.scheme == "file" else _web_fault(parts)
    except ValueError as error:
        return f"is no address: {error}"


def _web_fault(parts: SplitResult) -> str:
    """Say why a host must not ask at this address; ``ValueError`` for a port that is none."""
    if parts.scheme not in {"http", "https"}:
        return "begins with none of https, http, file"
    if not parts.hostname or "{" in parts.netloc or parts.port == 0:
        return "names no host and port"
    if "@" in parts.netloc:
        return "holds a name or password, which messages would show"
    if parts.fragment:
        return "holds a fragment"
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        return "is http to another host than this one; use https"
    return ""


def _file_fault(parts: SplitResult) -> str:
    if parts.netloc not in {"", "localhost"}:
        return f"names the host {parts.netloc!r}; a file is on this one"
    if parts.query or parts.fragment or not parts.path.startswith("/"):
        return "is no absolute path"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
