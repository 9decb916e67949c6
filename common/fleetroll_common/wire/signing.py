"""Bytes that are signed with an agent's key, and the Ed25519 calls around them.

Rules:

1. Every statement begins with a context of its own (``CONTEXTS``), so that a signature made for one purpose is
   worthless for another. No context is the beginning of another one.
2. Every field is prefixed with its length: no two different field lists give the same bytes.
3. Protobuf is not canonical. Where a message is signed, its *received* bytes are verified, then parsed, and only the
   parse is used; the statement holds the hash of those bytes.

Not done here: who the key belongs to, and whether the nonce is fresh. That is the ratchet's and the session's work.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES = 32
"""An Ed25519 public key, and the seed of a private one (RFC 8032)."""
SIGNATURE_BYTES = 64
"""An Ed25519 signature (RFC 8032)."""

HELLO_CONTEXT = b"fleetroll/hello/v1"
ENROLL_CONTEXT = b"fleetroll/enroll/v1"
ROTATE_CONTEXT = b"fleetroll/rotate/v1"
CONTEXTS = (HELLO_CONTEXT, ENROLL_CONTEXT, ROTATE_CONTEXT)


def join_fields(context: bytes, fields: Iterable[bytes]) -> bytes:
    """Return ``context`` followed by the fields, each behind its length as four bytes, big endian."""
    return context + b"".join(struct.pack(">I", len(field)) + field for field in fields)


def number(value: int) -> bytes:
    """Return a count as eight bytes, big endian.

    Raises:
        struct.error: ``value`` is negative or does not fit in 64 bits (programmer's fault: the wire's type is uint64).
    """
    return struct.pack(">Q", value)


def hello_bytes(
    nonce: bytes,
    server_id: str,
    agent_id: str,
    key: bytes,
    ratchet_current: bytes,
    ratchet_next: bytes,
    advances: int,
    payload: bytes,
) -> bytes:
    """Return what an agent signs in its hello.

    Args:
        nonce: of this stream's challenge: the hello is good for one stream.
        server_id: of the challenge: a server can't pass the hello on to another one.
        agent_id: the sender.
        key: the public key that signs: the verdict may hold for one of two keys during a rotation.
        ratchet_current: the agent's ratchet.
        ratchet_next: the one that it proposes.
        advances: how often the ratchet moved on, >= 0.
        payload: the serialized state of the host, exactly as it is sent.
    """
    digest = hashlib.sha256(payload).digest()
    names = (server_id.encode(), agent_id.encode())
    return join_fields(HELLO_CONTEXT, (nonce, *names, key, ratchet_current, ratchet_next, number(advances), digest))


def enroll_bytes(token: str, public_key: bytes) -> bytes:
    """Return what a new key signs to prove that whoever spends the token holds it."""
    return join_fields(ENROLL_CONTEXT, (token.encode(), public_key))


def rotate_bytes(agent_id: str, current_key: bytes, new_key: bytes) -> bytes:
    """Return what both keys sign when the new one shall follow the current one."""
    return join_fields(ROTATE_CONTEXT, (agent_id.encode(), current_key, new_key))


def public_key(private_key: bytes) -> bytes:
    """Return the public key of the 32-byte seed ``private_key``."""
    return bytes(SigningKey(private_key).verify_key)


def sign(private_key: bytes, message: bytes) -> bytes:
    """Return the Ed25519 signature of ``message``; the same for the same input."""
    return bytes(SigningKey(private_key).sign(message).signature)


def verify(key: bytes, message: bytes, signature: bytes) -> None:
    """Return when ``signature`` is ``key``'s over ``message``.

    Raises:
        RequestError: BAD_SIGNATURE; also for a key or signature of another length and for keys of small order, for
            which signatures can be made without a private key (sender's fault).
    """
    try:
        VerifyKey(key).verify(message, signature)
    except (CryptoError, ValueError, TypeError) as error:
        text = "signature: it does not fit the key and what was said"
        raise RequestError(
            text, code=Code.BAD_SIGNATURE, remedy="enroll this host again if its key was replaced"
        ) from error
