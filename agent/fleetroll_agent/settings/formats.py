"""Texts with a form of their own: addresses, URLs, names. Pure; a ValueError's words end a sentence."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from fleetroll_common.values.pins import read_pin
from fleetroll_common.values.release import is_product
from fleetroll_common.values.window_text import read_window

PLACE = "{path}"
"""Stands in a mirror's pattern for the path of a target."""

_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_UNIT = re.compile(r"[A-Za-z0-9_@:.\\][A-Za-z0-9_@:.\\-]*", re.ASCII)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_FIELDS = re.compile(r"[^.\s]+(\.[^.\s]+)*")
MAX_PORT = 65535


window, pin = read_window, read_pin
"""A server's policy has them too, in the same form."""


def mirror(value: str) -> str:
    """Check a URL pattern; http is for the machine itself, since what comes from there crosses no network."""
    if value.count(PLACE) != 1 or set("{}") & set(value.replace(PLACE, "")):
        raise ValueError(f"does not hold {PLACE} exactly once, and no other brace")
    url = _split(value)
    if PLACE not in url.path and (PLACE not in url.query or url.scheme == "file"):
        raise ValueError(f"does not hold {PLACE} in its path")
    if url.scheme == "file":
        if url.netloc not in {"", "localhost"} or not url.path.startswith("/"):
            raise ValueError("names a file of another machine, or by no absolute path")
    elif url.scheme == "http" and not _is_loopback(url.hostname or ""):
        raise ValueError("is http to another machine; only https goes over a network")
    elif url.scheme not in {"http", "https"}:
        raise ValueError("is neither https nor a file, nor http to this machine")
    else:
        _check_host(url)
    return value


def source(value: str) -> str:
    """Check where a mirror of the whole signed repository may be: the absolute path of a folder, or a URL.

    Whether a folder is there is looked at when it is used: a start must not hang on a share that is away.
    """
    if "://" not in value and not value.startswith("file:"):
        if not value.startswith("/") or not value.isprintable():
            raise ValueError("is neither an absolute path nor a URL")
        return value
    mirror(value if PLACE in value else f"{value.rstrip('/')}/{PLACE}")
    return value


def probe_url(value: str) -> str:
    """Check the URL of a health check."""
    url = _split(value)
    if url.scheme not in {"http", "https"}:
        raise ValueError("is neither http nor https")
    _check_host(url)
    return value


def _split(value: str) -> SplitResult:
    """Take a URL apart; one with a password is refused, since addresses are logged."""
    if _VISIBLE.fullmatch(value) is None or "\\" in value:
        raise ValueError("holds a space, a back-slash, or something outside ASCII")
    if "://" not in value:
        raise ValueError("is no URL: it has no scheme such as https in front")
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from error
    if "@" in url.netloc or "#" in value or port == 0:
        raise ValueError("holds a user, a fragment, or port 0")
    return url


def _check_host(url: SplitResult) -> None:
    """Raise for a URL without a host; what may stand in brackets is not looked at by every Python's own reader."""
    host = url.hostname or ""
    good = _is_address(host) if "[" in url.netloc else _HOST.fullmatch(host) is not None
    if not good:
        raise ValueError("has no host")


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def address(value: str) -> tuple[str, int]:
    """Read ``host:port``; an IPv6 address stands in square brackets."""
    host, _, port = value.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        raise ValueError(f"has no port 1 to {MAX_PORT} behind a colon")
    if host.startswith("[") and host.endswith("]"):
        return str(ip_address(host[1:-1])), int(port)
    if _HOST.fullmatch(host) is None:
        raise ValueError("has no host before the port")
    return host, int(port)


def channel(value: str) -> str:
    """Check the name of a channel."""
    return _checked(value, good=is_product(value), fault="is not a name of small letters, digits and dashes")


def product_name(value: str) -> str:
    """Check the name of a product."""
    return _checked(value, good=is_product(value), fault="is not a name of small letters, digits and dashes")


def unit(value: str) -> str:
    """Check the name of a unit: nothing that the service manager could take for an option."""
    return _checked(value, good=_UNIT.fullmatch(value) is not None, fault="is not the name of a unit")


def user(value: str) -> str:
    """Check the name of a user; whether there is one is seen when a command starts."""
    return _checked(value, good=_USER.fullmatch(value) is not None, fault="is not the name of a user")


def fields(value: str) -> tuple[str, ...]:
    """Read ``status.version`` into the names of fields."""
    if _FIELDS.fullmatch(value) is None:
        raise ValueError("is not names of fields with dots between them")
    return tuple(value.split("."))


def _checked(value: str, *, good: bool, fault: str) -> str:
    if not good:
        raise ValueError(fault)
    return value
