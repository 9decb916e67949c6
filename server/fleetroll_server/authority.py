"""The CA in the data folder: the one that signs, its prepared successor, and the way from the one to the other.

- ``ca.pem``, ``ca.key.sealed``: the CA that signs this server's certificate now.
- ``bridges.pem``: what is shown behind that certificate, newest first: by it hosts that know an older CA alone get in.
- ``next.json``: the successor, its key sealed, with the bridge from the CA that signs now.
- ``switch.json``: a switch that began. It holds all that is to stand afterwards; spreading it over the files above is
  repeated at the next start, so that no mixture of two CAs is ever used.
- ``server.pem``, ``server.key.sealed``: the server's certificate; made anew whenever it does not fit the rest.

The key of the old CA is gone after the switch: nothing needs it any more, and nobody can steal it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, sync_dir, write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, StoreError
from fleetroll_server.certificates import (
    Pair,
    belong_together,
    bridge,
    ends_at,
    is_issued_by,
    issue_leaf,
    make_successor,
    needs_renewal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from fleetroll_server.datafolder import DataFolder
    from fleetroll_server.secrets import Secrets

MAX_BRIDGES = 4
"""Shown with every handshake, some 600 bytes each: four changes of a CA that lives 20 years."""
_CA, _KEY, _BRIDGES = "ca.pem", "ca.key.sealed", "bridges.pem"
_NEXT, _SWITCH = "next.json", "switch.json"
_END = b"-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA as the folder has it; certificates are PEM.

    Attributes:
        certificate: of the CA that signs.
        bridges: from older CAs, newest first.
        successor: the prepared CA's certificate; None = none is prepared.
    """

    certificate: bytes
    bridges: tuple[bytes, ...] = ()
    successor: bytes | None = None


def store_ca(folder: DataFolder, secrets: Secrets, ca: Pair) -> None:
    """Write a first CA into the data folder, its key sealed."""
    write_durably(folder.tls / _CA, ca.certificate, 0o644)
    write_durably(folder.tls / _KEY, secrets.seal(ca.key).encode())


def read_authority(folder: DataFolder) -> Authority:
    """Return the CA, after finishing a switch that a crash cut short.

    Raises:
        StoreError: a file is missing or damaged (operator's fault).
        OSError: the folder can't be written.
    """
    if (folder.tls / _SWITCH).exists():
        _spread(folder, _record(folder.tls / _SWITCH))
    path = folder.tls / _BRIDGES
    bridges = split_pem(_checked(path)) if path.exists() and path.stat().st_size else ()
    successor = folder.tls / _NEXT
    prepared = _record(successor)["certificate"].encode() if successor.exists() else None
    return Authority(_checked(folder.tls / _CA), bridges, prepared)


def prepare(folder: DataFolder, secrets: Secrets, now: datetime) -> Authority:
    """Make a successor and the bridge to it; nothing is signed by it yet.

    Raises:
        RequestError: ALREADY_EXISTS: one is prepared (the admin's fault).
        StoreError, OSError: as for :func:`read_authority`.
    """
    if read_authority(folder).successor is not None:
        message = "authority: a successor of the CA is prepared already"
        raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="switch to it", field="authority")
    old = _signing(folder, secrets)
    new = make_successor(old, now)
    record = {
        "certificate": new.certificate.decode("ascii"),
        "key": secrets.seal(new.key),
        "bridge": bridge(old, new.certificate).decode("ascii"),
    }
    write_durably(folder.tls / _NEXT, dump_record(record))
    return read_authority(folder)


def switch(folder: DataFolder, now: datetime) -> Authority:
    """Let the prepared successor sign from here on; :func:`current_leaf` makes the certificate that fits it.

    Raises:
        RequestError: NOT_FOUND: none is prepared (the admin's fault).
        StoreError, OSError: as for :func:`read_authority`; after an OSError the switch may have begun, and is finished
            at the next look.
    """
    known = read_authority(folder)
    if known.successor is None:
        message = "authority: no successor of the CA is prepared"
        raise RequestError(message, code=Code.NOT_FOUND, remedy="prepare one first", field="authority")
    prepared = _record(folder.tls / _NEXT)
    bridges = [old for old in (*split_pem(prepared["bridge"].encode()), *known.bridges) if ends_at(old) > now]
    after = {**prepared, "bridges": b"".join(bridges[:MAX_BRIDGES]).decode("ascii")}
    write_durably(folder.tls / _SWITCH, dump_record(after))
    return read_authority(folder)


def current_leaf(folder: DataFolder, secrets: Secrets, hosts: Sequence[str], now: datetime) -> Pair:
    """Return the server's certificate, made anew where there is none, it needs renewal, or another CA has signed it.

    Raises:
        StoreError: a file of the CA is missing or damaged, or its key can't be opened (operator's fault).
        OSError: the folder can't be read or written.
    """
    authority = read_authority(folder)
    certificate_path, key_path = folder.tls / "server.pem", folder.tls / "server.key.sealed"
    if certificate_path.exists() and key_path.exists():
        leaf = Pair(certificate_path.read_bytes(), secrets.open(key_path.read_text("ascii", "replace")))
        fits = belong_together(leaf) and is_issued_by(leaf.certificate, authority.certificate)
        if fits and not needs_renewal(leaf.certificate, hosts, now):
            return leaf
    leaf = issue_leaf(_signing(folder, secrets), hosts, now)
    write_durably(key_path, secrets.seal(leaf.key).encode())
    write_durably(certificate_path, leaf.certificate, 0o644)
    return leaf


def split_pem(data: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a PEM file one by one."""
    return tuple(part.lstrip() + _END for part in data.replace(b"\r\n", b"\n").split(_END) if part.strip())


def _signing(folder: DataFolder, secrets: Secrets) -> Pair:
    """Return the CA that signs, with its key."""
    sealed = _read(folder.tls / _KEY).decode("ascii", "replace")
    ca = Pair(_checked(folder.tls / _CA), secrets.open(sealed))
    if not belong_together(ca):
        raise _unusable(folder.tls / _KEY, "it is not the key of ca.pem")
    return ca


def _spread(folder: DataFolder, after: dict[str, str]) -> None:
    """Put a switch into the files, its record's removal last; the same when it is repeated."""
    write_durably(folder.tls / _KEY, after["key"].encode())
    write_durably(folder.tls / _BRIDGES, after["bridges"].encode(), 0o644)
    write_durably(folder.tls / _CA, after["certificate"].encode(), 0o644)
    (folder.tls / _NEXT).unlink(missing_ok=True)
    sync_dir(folder.tls)
    (folder.tls / _SWITCH).unlink()
    sync_dir(folder.tls)


def _checked(path: Path) -> bytes:
    """Return a file of certificates.

    Raises:
        StoreError: it is missing or damaged (operator's fault).
    """
    data = _read(path)
    try:
        x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise _unusable(path, "it holds no certificate") from error
    return data


def _record(path: Path) -> dict[str, str]:
    """Return a record of the CA."""
    try:
        return load_record(_read(path))
    except DamagedRecord as error:
        raise _unusable(path, "it is damaged") from error


def _read(path: Path) -> bytes:
    """Return a file of the CA."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _unusable(path: Path, why: str) -> StoreError:
    """Return the operator's error. A new CA would shut every host out, so none is made."""
    return StoreError(
        f"tls: {path} can't be used: {why}",
        code=Code.STORE_FAILED,
        remedy="bring it back from a backup of the data folder",
    )
