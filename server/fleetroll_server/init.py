"""``fleetroll-server init``: a new data folder, whole or not at all.

Everything is built in a folder beside the wanted one, made durable, and moved into place by one rename. The root keys
go into a folder of their own, outside: whoever takes the server must not be able to name new keys for the fleet.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleetroll_common.durable import create_durably, sync_dir, sync_tree, write_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT
from fleetroll_publishing.demands import ROOT_KEYS_MIN
from fleetroll_publishing.keys import Passphrase, PrivateKey, SecretKey, save_key
from fleetroll_publishing.repository import create, refresh_snapshot
from fleetroll_server import unfinished
from fleetroll_server.access.secretwords import new_secret
from fleetroll_server.authority import current_leaf, store_ca
from fleetroll_server.catalogue.keys import managed_roles, role_signers
from fleetroll_server.certificates import host_of, make_ca
from fleetroll_server.datafolder import FOLDER_MODE, DataFolder
from fleetroll_server.firstrows import FirstRows, write_first_rows
from fleetroll_server.secrets import Secrets
from fleetroll_server.settings import load_settings
from fleetroll_server.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from fleetroll_common.values.clock import Clock
    from fleetroll_common.values.ids import IdSource
    from fleetroll_server.trustfolder import Trust

PRODUCTS = ("agent",)
UNLOCK_FILE = "unlock.key"
"""Opens the root keys where no passphrase was given: as good as no lock, and said so."""
UNLOCK_BYTES = 32


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What was asked for.

    Attributes:
        data: the folder to make; may exist when it is empty.
        root_keys: where the root keys go; outside of ``data``, empty or not there. None = there are none: the keys were
            made elsewhere, and ``trust`` brings what this server needs of them.
        trust: the repository of an offline ceremony, with the online keys; None = a managed one is made.
        addresses: "host:port" under which hosts will reach the server.
        passphrase: protects the root keys; None leaves them unprotected.
        demo: dirty builds may be published.
    """

    data: Path
    root_keys: Path | None
    addresses: Sequence[str] = ()
    passphrase: Passphrase | None = None
    demo: bool = False
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made. ``admin_token`` is shown once; it also lies in the data folder."""

    admin_token: str = field(repr=False)
    folder: DataFolder
    root_key_files: tuple[Path, ...]
    root_sha256: str


@dataclass(frozen=True, slots=True)
class _Built:
    """What building leaves in memory."""

    token: str = field(repr=False)
    root: tuple[PrivateKey, ...] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)


def initialise(request: InitRequest, clock: Clock, ids: IdSource) -> Initialised:
    """Make the data folder and the root keys.

    Raises:
        RequestError: a folder is in use, the root keys would lie inside of the data, or an address or passphrase
            can't be used (operator's fault).
        OSError: the disk refused; nothing of this run is left.
    """
    data, root_keys = request.data.resolve(), request.root_keys.resolve() if request.root_keys else None
    building = data.with_name(f".{data.name}.init")
    if root_keys is not None:
        unfinished.take_away(building, root_keys, UNLOCK_FILE)
    _check_folders(data, root_keys)
    if building.exists():
        shutil.rmtree(building)
    data.parent.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        made = _build(DataFolder(building), request, root_keys, clock, ids)
        if root_keys is not None:
            unfinished.begin(building, root_keys, made.root)
            written = _write_root_keys(root_keys, made.root, made.files[FIRST_ROOT], request.passphrase, ids)
        sync_tree(building)
        building.rename(data)
        sync_dir(data.parent)
        with contextlib.suppress(OSError):  # it says nothing there any more
            (data / unfinished.MARK).unlink()
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        raise
    return Initialised(
        made.token,
        DataFolder(data),
        tuple(path for path in written if path.name != FIRST_ROOT),
        hashlib.sha256(made.files[FIRST_ROOT]).hexdigest(),
    )


def _check_folders(data: Path, root_keys: Path | None) -> None:
    """Refuse folders that are in use or inside of each other."""
    for name, folder in (("data", data), ("root-keys", root_keys)):
        if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            message = f"{name}: {folder} is in use; nothing was changed"
            raise RequestError(message, code=Code.ALREADY_EXISTS, remedy="name a new or an empty folder", field=name)
    if root_keys is not None and (root_keys == data or data in root_keys.parents):
        message = f"root-keys: {root_keys} is inside of the data folder"
        remedy = "name a folder that can be taken away from this machine"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="root-keys")


def _build(folder: DataFolder, request: InitRequest, root_keys: Path | None, clock: Clock, ids: IdSource) -> _Built:
    """Fill the folder that becomes the data folder."""
    now = clock.now()
    folder.make()
    write_durably(folder.settings, _settings_text(request.addresses, root_keys).encode())
    settings = load_settings(folder.settings)
    secrets = Secrets.create(folder.secret_key, ids)
    store_ca(folder, secrets, make_ca("Fleetroll CA", now))
    current_leaf(folder, secrets, [host_of(address) for address in settings.addresses], now)
    root, keys, files = _managed(now) if request.trust is None else _offline(request.trust, now)
    token = new_secret(ids)
    rows = FirstRows(token=token, metadata=files, keys=keys, demo=request.demo)
    asyncio.run(_fill_database(folder, secrets, rows, clock, ids))
    write_durably(folder.admin_token, f"{token}\n".encode())
    return _Built(token, root, files)


def _managed(now: datetime) -> tuple[tuple[PrivateKey, ...], dict[str, PrivateKey], dict[str, bytes]]:
    """Return root keys, the keys that this server holds, and the first files of a repository that is made here."""
    root = tuple(PrivateKey.generate() for _ in range(ROOT_KEYS_MIN))
    keys = {role: PrivateKey.generate() for role in managed_roles(PRODUCTS)}
    return root, keys, create(PRODUCTS, role_signers(keys, root), now)


def _offline(trust: Trust, now: datetime) -> tuple[tuple[PrivateKey, ...], dict[str, PrivateKey], dict[str, bytes]]:
    """Return the same of a repository whose keys were made elsewhere: there are no root keys anywhere near."""
    keys, files = trust.read()
    return (), keys, {**files, **refresh_snapshot(files, role_signers(keys), now)}


async def _fill_database(folder: DataFolder, secrets: Secrets, rows: FirstRows, clock: Clock, ids: IdSource) -> None:
    """Make the database with its first rows."""
    store = await Store.open(folder.database_url, clock)
    try:
        await store.writer.command(lambda tx: write_first_rows(tx, secrets, rows, ids))
    finally:
        await store.close()


def _write_root_keys(
    folder: Path, keys: Sequence[PrivateKey], first_root: bytes, passphrase: Passphrase | None, ids: IdSource
) -> list[Path]:
    """Write the root keys, and the root that hosts pin; what was written is taken away again when one of them fails."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        protection: Passphrase | SecretKey
        if passphrase is None:
            protection = SecretKey(ids.token(UNLOCK_BYTES))
            create_durably(folder / UNLOCK_FILE, protection.value.hex().encode() + b"\n")
            written.append(folder / UNLOCK_FILE)
        else:
            protection = passphrase
        for number, key in enumerate(keys, 1):
            path = folder / f"root-{number}.key"
            save_key(path, key, "root", protection)
            written.append(path)
        create_durably(folder / FIRST_ROOT, first_root)
        written.append(folder / FIRST_ROOT)
    except BaseException:
        for path in written:
            path.unlink()
        raise
    return written


def _settings_text(addresses: Sequence[str], root_keys: Path | None) -> str:
    """Return the first settings file: what was said, everything else by default."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    escaped = str(root_keys or "").replace("\\", "\\\\").replace('"', '\\"')
    where = f'root_keys = "{escaped}"\n' if root_keys is not None else ""
    head = "# Every setting with its unit and default: docs/reference/settings.md"
    return f"{head}\naddresses = [{listed}]\n{where}"
