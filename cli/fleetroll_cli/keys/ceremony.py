"""``fleetroll keys init``: every key of a new repository, each in a file of its own, and what a server needs of it.

Nothing of it needs a network. What is made lies in one folder, which is empty before: the root's three keys, those of
targets and of each product; beside them the root that hosts will pin, and ``for-server`` with the first signed files
and the two keys that a server signs with, locked by a secret that is shown once, or written into a file that is made
before anything else: keys whose secret found no place would be worth nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll_cli.keys.options import invalid
from fleetroll_cli.keys.ring import MODE, NewKey, new_keys, signers_of, write_keys
from fleetroll_common.durable import create_durably, sync_tree
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.release import check_product
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT
from fleetroll_publishing.demands import ONLINE_ROLES, ROOT_KEYS_MIN
from fleetroll_publishing.keys import SECRET_KEY_BYTES, PrivateKey, SecretKey, save_key
from fleetroll_publishing.publisher import Publisher
from fleetroll_publishing.repository import create
from fleetroll_publishing.signers import NaClSigner, RoleSigners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fleetroll_cli.keys.ring import Passphrases

FOR_SERVER = "for-server"
METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What was asked for.

    Attributes:
        out: the folder to fill; empty, or not there.
        products: names.
        thresholds: by product, signatures and keys; one of one where nothing is said.
        secret_file: a new file outside ``out`` for the server's secret; None = it is for whoever calls to show.
    """

    out: Path
    products: tuple[str, ...]
    thresholds: Mapping[str, tuple[int, int]]
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What lies there now.

    Attributes:
        keys: the key files.
        root_sha256: of the root that hosts will pin, in hex.
        secret: opens the keys for the server, in hex.
    """

    keys: Sequence[Path]
    root_sha256: str
    secret: str


def hold(ceremony: Ceremony, passphrases: Passphrases) -> Made:
    """Make all of it, or nothing but what was written before an error.

    Raises:
        RequestError: the folder or the secret's file is in use, a product's name, a threshold, a passphrase (caller's
            fault).
        OSError: the disk refused.
    """
    _check(ceremony)
    keys = _keys(ceremony)
    online = {role: PrivateKey.generate() for role in ONLINE_ROLES}
    files = create(ceremony.products, _signers(ceremony, keys, online), datetime.now(UTC))
    secret = secrets.token_bytes(SECRET_KEY_BYTES)
    with _kept(secret.hex(), ceremony.secret_file):
        written = write_keys(ceremony.out, keys, passphrases)
    create_durably(ceremony.out / FIRST_ROOT, files[FIRST_ROOT])
    Publisher(ceremony.out).begun(files)
    _write_for_server(ceremony.out / FOR_SERVER, files, online, secret)
    sync_tree(ceremony.out)
    return Made(written, hashlib.sha256(files[FIRST_ROOT]).hexdigest(), secret.hex())


@contextmanager
def _kept(secret: str, path: Path | None) -> Iterator[None]:
    """Write the secret first; take the file away again where what it belongs to does not come about."""
    if path is None:
        yield
        return
    try:
        create_durably(path, f"{secret}\n".encode())
    except OSError as error:
        what = f"{str(path)[:200]!r} can't be made ({error.strerror}); nothing was changed"
        raise invalid("secret-file", what, "name a new file in a folder that this user can write to") from error
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check(ceremony: Ceremony) -> None:
    """Refuse what can't begin."""
    if ceremony.out.exists() and (not ceremony.out.is_dir() or any(ceremony.out.iterdir())):
        raise invalid("out", f"{str(ceremony.out)[:200]!r} is in use; nothing was changed", "name a new folder")
    if ceremony.secret_file is not None and ceremony.out.resolve() in ceremony.secret_file.resolve().parents:
        raise invalid(
            "secret-file", "it lies in the folder of keys", "name a file elsewhere: the two are carried apart"
        )
    for product in (*ceremony.products, *ceremony.thresholds):
        check_product(product)
    unknown = [product for product in ceremony.thresholds if product not in ceremony.products]
    if unknown:
        raise invalid("threshold-product", f"{unknown[0]} is not among the products", "name it with --product as well")


def _keys(ceremony: Ceremony) -> list[NewKey]:
    """Return all keys of people."""
    made = [
        *new_keys("root", ROOT_KEYS_MIN, ceremony.out, first=True),
        *new_keys("targets", 1, ceremony.out, first=True),
    ]
    for product in ceremony.products:
        _, count = ceremony.thresholds.get(product, (1, 1))
        made += new_keys(role_name(product), count, ceremony.out, first=True)
    return made


def _signers(ceremony: Ceremony, keys: Sequence[NewKey], online: Mapping[str, PrivateKey]) -> RoleSigners:
    """Return the signers of the first files."""
    by_role: dict[str, list[NaClSigner]] = {}
    for key in keys:
        by_role.setdefault(key.role, []).append(key.signer)
    offline = signers_of(by_role)
    return RoleSigners(
        offline.root,
        offline.targets,
        offline.products,
        NaClSigner(online["snapshot"]),
        NaClSigner(online["timestamp"]),
        {role_name(product): needed for product, (needed, _) in ceremony.thresholds.items()},
    )


def _write_for_server(
    folder: Path, files: Mapping[str, bytes], online: Mapping[str, PrivateKey], secret: bytes
) -> None:
    """Write what is carried to the server."""
    (folder / METADATA).mkdir(mode=MODE, parents=True)
    for name, data in files.items():
        create_durably(folder / METADATA / name, data)
    for role, key in online.items():
        save_key(folder / f"{role}.key", key, role, SecretKey(secret))
