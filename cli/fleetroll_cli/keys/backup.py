"""``fleetroll keys backup``: all key files of a folder and the signed files beside them, as one file.

It is a plain tar: ``tar -xf`` brings everything back. Each key in it is locked by its own passphrase, as it was in the
folder; a key file that no passphrase protects is refused, and so is the file that would open it.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from fleetroll_cli.keys.options import invalid
from fleetroll_common.durable import create_durably
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT
from fleetroll_publishing.kept import FOLDER as METADATA
from fleetroll_publishing.kept import kept
from fleetroll_publishing.keyfiles import keys_in
from fleetroll_publishing.keys import read_label
from fleetroll_publishing.publisher import RECORD_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODE = 0o600


def back_up(folder: Path, metadata: Mapping[str, bytes], out: Path) -> list[str]:
    """Write the one file, 0600; return the names in it.

    Args:
        folder: of key files.
        metadata: signed files by name, as the newest repository has them; empty = those alone that lie beside the keys.
        out: the file to make; never overwritten.

    Raises:
        RequestError: there is no key, one of them is not protected, or ``out`` is there (caller's fault).
        OSError: the disk refused.
    """
    content: dict[str, bytes] = {}
    for path in keys_in(folder):
        if not read_label(path).wants_passphrase:
            what = f"{path.name} is not protected by a passphrase"
            raise invalid("keys", what, "exchange that key for a protected one: fleetroll keys rotate")
        content[path.name] = path.read_bytes()
    for name in (FIRST_ROOT, RECORD_NAME):
        if (folder / name).is_file():
            content[name] = (folder / name).read_bytes()
    content |= {f"{METADATA}/{name}": data for name, data in kept(folder / METADATA).items()}
    content |= {f"{METADATA}/{name}": data for name, data in sorted(metadata.items())}
    try:
        create_durably(out, _tar(content), MODE)
    except FileExistsError as error:
        raise RequestError(
            f"out: {out} exists and is not overwritten", code=Code.ALREADY_EXISTS, remedy="name another file"
        ) from error
    return list(content)


def _tar(content: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a tar, the same for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), MODE
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
