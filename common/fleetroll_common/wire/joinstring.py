"""The join string: one word that a person copies from the server to a host, with everything that the host must trust.

``fleetroll-join-1:<characters>:<crc32>:<body>``; the body is URL-safe base 64 of canonical JSON. Length and checksum
let the error say what happened to it on the way. White space anywhere is ignored: terminals and mail wrap long lines.

The checksum finds accidents. It is no protection: whoever can change the join string can point a host anywhere, so it
is handed over like a password, and the token inside is never shown by ``repr`` or by an error.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass, field

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

PREFIX = "fleetroll-join-1:"
MAX_CHARS = 64 * 1024
"""Far above any real one (some 1,500 characters with one CA); bounds the work on a wrong file."""
MAX_ADDRESSES = 16

_SHAPE = re.compile(r"fleetroll-join-1:([0-9]{1,6}):([0-9a-f]{8}):([A-Za-z0-9_-]*)", re.ASCII)
_HEAD = re.compile(r"fleetroll-join-([0-9]{1,4}):", re.ASCII)
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]{2,64}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,256}", re.ASCII)
_SHA256_BYTES = 32
_MAX_PORT = 65535


@dataclass(frozen=True)
class JoinString:
    """What a join string holds.

    Attributes:
        addresses: "host:port" of servers, in order, 1-16.
        token: the join token's secret, 1-256 printable characters without spaces.
        ca_pem: certificates that the host trusts for the server's TLS; at least one.
        root_sha256: SHA-256 of the trust root that the host pins, 32 bytes.
    """

    addresses: tuple[str, ...]
    token: str = field(repr=False)
    ca_pem: bytes = field(repr=False)
    root_sha256: bytes

    def __post_init__(self) -> None:
        """Refuse parts that no host could use.

        Raises:
            RequestError: INVALID_ARGUMENT naming the part (caller's fault).
        """
        if not 1 <= len(self.addresses) <= MAX_ADDRESSES:
            raise _refused("addresses", f"{len(self.addresses)} addresses, not 1 to {MAX_ADDRESSES}")
        for address in self.addresses:
            match = _ADDRESS.fullmatch(address)
            if match is None or not 1 <= int(match.group(2)) <= _MAX_PORT:
                raise _refused("addresses", f"{address[:80]!r} is not host:port")
        if _TOKEN.fullmatch(self.token) is None:
            raise _refused("token", "the token is empty, too long or has spaces")
        if b"-----BEGIN CERTIFICATE-----" not in self.ca_pem or not self.ca_pem.isascii():
            raise _refused("ca_pem", "there is no PEM certificate")
        if len(self.root_sha256) != _SHA256_BYTES:
            raise _refused("root_sha256", f"{len(self.root_sha256)} bytes, not {_SHA256_BYTES}")

    def encode(self) -> str:
        """Return the string; it holds a secret."""
        parts = {
            "addresses": list(self.addresses),
            "ca_pem": self.ca_pem.decode("ascii"),
            "root_sha256": self.root_sha256.hex(),
            "token": self.token,
        }
        raw = json.dumps(parts, sort_keys=True, separators=(",", ":")).encode("ascii")
        body = base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
        return f"{PREFIX}{len(body)}:{_checksum(body)}:{body}"

    @classmethod
    def decode(cls, text: str) -> JoinString:
        """Read a join string, white space aside.

        Raises:
            RequestError: INVALID_ARGUMENT, saying whether it is something else, of another version, cut short, changed
                on the way, or holds a part that can't be used (caller's fault).
        """
        return _from_body(_body(text))


def _body(text: str) -> str:
    """Return the undamaged body of ``text``."""
    word = "".join(text[: MAX_CHARS + 1].split())
    head = _HEAD.match(word)
    if head is None:
        raise _refused("join string", f"it does not begin with {PREFIX!r}")
    if not word.startswith(PREFIX):
        raise _refused("join string", f"it has version {head.group(1)}, this program reads 1", "update this program")
    if len(text) > MAX_CHARS:
        raise _refused("join string", f"it has more than {MAX_CHARS} characters")
    match = _SHAPE.fullmatch(word)
    if match is None:
        raise _refused("join string", "its beginning is damaged, or it holds characters that never stand in one")
    expected, checksum, body = int(match.group(1)), match.group(2), match.group(3)
    if len(body) != expected:
        raise _refused(
            "join string", f"{len(body)} of {expected} characters are there: it was cut or something was added"
        )
    if _checksum(body) != checksum:
        raise _refused("join string", "its checksum does not fit: a character was changed")
    return body


def _from_body(body: str) -> JoinString:
    """Return the parts of an undamaged body."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        addresses, token, ca_pem, root = parts["addresses"], parts["token"], parts["ca_pem"], parts["root_sha256"]
        texts = [*addresses, token, ca_pem, root]
        if not all(isinstance(part, str) for part in texts):
            raise _refused("join string", "a part of it is no text")
        return JoinString(tuple(addresses), token, ca_pem.encode("ascii"), bytes.fromhex(root))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused("join string", "its checksum fits, but parts are missing or of another kind") from error


def _checksum(body: str) -> str:
    """Return the CRC32 of ``body`` as eight hex digits."""
    return f"{zlib.crc32(body.encode('ascii')):08x}"


def _refused(name: str, damage: str, remedy: str = "copy the whole string again, or ask for a new one") -> RequestError:
    """Return the error; the string itself stays out of it."""
    return RequestError(f"{name}: {damage}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=name)
