"""Private keys of the release repository, and the files that hold them.

A key file is one record with a checksum: what the key is for and its public half in clear, the private half in a
SecretBox under a key that comes from a passphrase (argon2id) or from 32 secret bytes. Files are made once, 0600, and
never overwritten: a lost key can be replaced by a newer root, an overwritten one only if somebody notices.

Not done here: where files lie. In managed mode the root's keys belong into a folder outside of the server's data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.signing import SigningKey
from nacl.utils import random as random_bytes

from fleetroll_common.durable import DamagedRecord, create_durably, dump_record, load_record
from fleetroll_common.trust.keys import KEY_TYPE, SCHEME, NaClKey, key_id
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

SEED_BYTES = 32
SECRET_KEY_BYTES = SecretBox.KEY_SIZE
KEY_FILE_MODE = 0o600
KEY_FILE_BYTES_MAX = 4096
"""A key file has about 600 bytes."""

PASSPHRASE_BYTES_MIN = 8
"""Against the empty line and the slip, not a promise of strength: that is argon2id's and the chooser's."""

_KIND = "fleetroll-key-1"
_LABEL = re.compile(r"[a-z][a-z0-9/-]{0,79}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one try of a passphrase costs.

    Attributes:
        operations: passes over the memory, 1 to 16.
        memory_bytes: 8 KiB to 1 GiB; also what opening the file takes.
    """

    operations: int = pwhash.argon2id.OPSLIMIT_MODERATE
    memory_bytes: int = pwhash.argon2id.MEMLIMIT_MODERATE

    def fault(self) -> str:
        """Return what is out of bounds, or nothing. A file from elsewhere must not order terabytes."""
        if not 1 <= self.operations <= _OPERATIONS_MAX:
            return f"operations: {self.operations} is not between 1 and {_OPERATIONS_MAX}"
        low, high = pwhash.argon2id.MEMLIMIT_MIN, pwhash.argon2id.MEMLIMIT_SENSITIVE
        return "" if low <= self.memory_bytes <= high else f"memory_bytes: {self.memory_bytes} is not {low} to {high}"


_OPERATIONS_MAX = 16


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Protection by something that a person knows; ``cost`` counts for new files, each file says its own."""

    text: str = field(repr=False)
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Protection by 32 secret bytes, from a file or the environment of a server."""

    value: bytes = field(repr=False)


Protection = Passphrase | SecretKey


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """One Ed25519 key that signs metadata. Equal seeds are equal keys; the seed never shows in ``repr``."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Check the seed.

        Raises:
            RequestError: it is not 32 bytes (caller's fault).
        """
        if len(self.seed) != SEED_BYTES:
            raise _invalid(f"seed: {len(self.seed)} bytes, a key has {SEED_BYTES}")

    @classmethod
    def generate(cls) -> PrivateKey:
        """Return a new key from the system's randomness."""
        return cls(random_bytes(SEED_BYTES))

    @property
    def public(self) -> NaClKey:
        """Return the public half, under the id that its content gives it."""
        value = bytes(SigningKey(self.seed).verify_key).hex()
        return NaClKey(key_id(value), value)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over ``data``, 64 bytes."""
        return SigningKey(self.seed).sign(data).signature


def save_key(path: Path, key: PrivateKey, label: str, protection: Protection) -> None:
    """Write ``key`` into the new file ``path`` (0600), durably.

    Args:
        path: a name that is free, in an existing folder.
        key: what to keep.
        label: what the key is for, such as ``root``, ``timestamp`` or ``products/agent``.
        protection: who can read it back.

    Raises:
        RequestError: ALREADY_EXISTS: the name is taken, and nothing was written; INVALID_ARGUMENT: label, passphrase or
            secret key is unusable (caller's fault).
        OSError: the disk refused.
    """
    if _LABEL.fullmatch(label) is None:
        raise _invalid(f"label: {label[:80]!r} is not a name of small letters, digits, dashes and slashes")
    salt = random_bytes(pwhash.argon2id.SALTBYTES)
    header = _lock(protection, salt)
    box = SecretBox(_box_key(protection, header))
    record = {
        "kind": _KIND,
        "label": label,
        "keytype": KEY_TYPE,
        "scheme": SCHEME,
        "public": key.public.keyval["public"],
        "lock": header,
        "box": bytes(box.encrypt(key.seed)).hex(),
    }
    try:
        create_durably(path, dump_record(record), KEY_FILE_MODE)
    except FileExistsError as error:
        raise RequestError(
            f"the key file {path.name!r} exists and is never overwritten",
            code=Code.ALREADY_EXISTS,
            remedy="choose another name, or move the old file away yourself",
            path=str(path),
        ) from error


@dataclass(frozen=True, slots=True)
class KeyLabel:
    """What a key file says in clear.

    Attributes:
        label: what the key was made for, such as ``root`` or ``products/agent``; which roles it signs, others say.
        public: the public half, under its id.
        wants_passphrase: whether a passphrase opens it; else 32 secret bytes do.
    """

    label: str
    public: NaClKey
    wants_passphrase: bool


def read_label(path: Path) -> KeyLabel:
    """Return what the key file ``path`` says in clear.

    Raises:
        RequestError: NOT_FOUND; INVALID_ARGUMENT: no key file, or a damaged one (caller's fault).
        OSError: the disk refused.
    """
    record = _read(path)
    try:
        label, public, lock = record["label"], record["public"], record["lock"]
        return KeyLabel(str(label), NaClKey(key_id(public), public), lock["by"] != "secret-key")
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(f"the key file {path.name!r} is damaged") from error


def load_key(path: Path, protection: Protection) -> PrivateKey:
    """Return the key in the file ``path``.

    Raises:
        RequestError: NOT_FOUND; INVALID_ARGUMENT: no key file, a damaged one, or one that this protection does not open
            (caller's fault).
        OSError: the disk refused.
    """
    record = _read(path)
    try:
        seed = SecretBox(_box_key(protection, record["lock"])).decrypt(bytes.fromhex(record["box"]))
    except (CryptoError, KeyError, TypeError, ValueError) as error:
        raise _invalid(f"the key file {path.name!r} is not opened by this passphrase or secret key") from error
    key = PrivateKey(seed)
    if key.public.keyval["public"] != record.get("public"):
        raise _invalid(f"the key file {path.name!r} holds another key than it says")
    return key


def _read(path: Path) -> dict[str, Any]:
    """Return the record of a key file."""
    try:
        with path.open("rb") as handle:
            record = load_record(handle.read(KEY_FILE_BYTES_MAX + 1))
    except FileNotFoundError as error:
        raise RequestError(
            f"there is no key file {path.name!r}",
            code=Code.NOT_FOUND,
            remedy="bring the key's file, or name another one",
            path=str(path),
        ) from error
    except DamagedRecord as error:
        raise _invalid(f"the key file {path.name!r} is damaged") from error
    if record.get("kind") != _KIND:
        raise _invalid(f"{path.name!r} is no key file")
    return record


def _lock(protection: Protection, salt: bytes) -> dict[str, Any]:
    """Return what a key file says in clear about its protection."""
    if isinstance(protection, SecretKey):
        return {"by": "secret-key"}
    if len(protection.text.encode()) < PASSPHRASE_BYTES_MIN:
        raise _invalid(f"passphrase: shorter than {PASSPHRASE_BYTES_MIN} bytes")
    cost = protection.cost
    if cost.fault():
        raise _invalid(cost.fault())
    return {"by": "argon2id", "salt": salt.hex(), "operations": cost.operations, "memory_bytes": cost.memory_bytes}


def _box_key(protection: Protection, lock: dict[str, Any]) -> bytes:
    """Return the 32 bytes that open the box of a file with this ``lock``.

    Raises:
        RequestError: the secret key has a wrong length, or the file asks for a cost out of bounds.
        KeyError, TypeError, ValueError: the file wants the other kind of protection, or says nonsense.
    """
    if isinstance(protection, SecretKey):
        if len(protection.value) != SECRET_KEY_BYTES:
            raise _invalid(f"secret key: {len(protection.value)} bytes, {SECRET_KEY_BYTES} are needed")
        if lock["by"] != "secret-key":
            raise ValueError("a passphrase is wanted")
        return protection.value
    cost = Cost(lock["operations"], lock["memory_bytes"])
    if cost.fault():
        raise _invalid(cost.fault())
    return pwhash.argon2id.kdf(
        SecretBox.KEY_SIZE,
        protection.text.encode(),
        bytes.fromhex(lock["salt"]),
        opslimit=cost.operations,
        memlimit=cost.memory_bytes,
    )


def _invalid(message: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy="give the right file and its right protection")
