"""``fleetroll recovery bring``: what was signed, and a server that was restored has lost.

Every command that signs keeps root, targets and products beside the keys that it used. They are sent as they lie there:
each counts by its signatures, which the server looks at. Nothing is signed here and no key is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import recovery_pb2, releases_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.wire.channel import MAX_MESSAGE_BYTES
from fleetroll_publishing.commit_gate import FILES_MAX, parse_name
from fleetroll_publishing.kept import FOLDER, kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fleetroll_client import AdminClient

BRING_SECONDS = 4 * CALL_SECONDS
"""Several roles are verified, stored, and signed over."""
_ROOM_BYTES = 64 * 1024
"""Of a request, for all that is not the bytes of files."""


def files_in(keys_dirs: Sequence[Path], folders: Sequence[Path]) -> dict[str, bytes]:
    """Return the signed files beside keys and in plain folders: every root, and the newest of each other role.

    Args:
        keys_dirs: folders of keys; where each keeps what was signed with it is known.
        folders: with the files themselves, as ``keys backup`` has them.

    Raises:
        RequestError: NOT_FOUND: there is none; CONFLICT: two folders have different files of one version (caller's
            fault).
        OSError: they can't be read.
    """
    if not keys_dirs and not folders:
        message = "keys-dir: no folder is named"
        remedy = "name the folder of keys with --keys-dir, or one with signed files with --files"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="keys-dir")
    places = [*(folder / FOLDER for folder in keys_dirs), *folders]
    found: dict[str, bytes] = {}
    for place in places:
        for name, data in kept(place).items():
            if found.setdefault(name, data) != data:
                message = f"files: {name} in {str(place)[:200]!r} is another file than in a folder named before"
                remedy = "bring them folder by folder: the server says which is genuine"
                raise RequestError(message, code=Code.CONFLICT, remedy=remedy, field="files")
    if not found:
        message = f"files: no signed file lies in {', '.join(str(place)[:200] for place in places)}"
        remedy = "name the folder where keys lie that have signed, or metadata from keys backup with --files"
        raise RequestError(message, code=Code.NOT_FOUND, remedy=remedy, field="files")
    return _newest(found)


def bring(client: AdminClient, files: Mapping[str, bytes], reason: str) -> recovery_pb2.BringMetadataResponse:
    """Send them, roots first, in as many requests as they need; return what was taken of all, and where it stands.

    Raises:
        FleetrollError: what the server refuses; what was taken before it stays.
    """
    taken: list[str] = []
    answer = recovery_pb2.BringMetadataResponse()
    for batch in _batches(files):
        request = recovery_pb2.BringMetadataRequest(
            files=[releases_pb2.MetadataFile(name=name, payload=data) for name, data in batch], reason=reason
        )
        answer = client.recovery.BringMetadata(request, timeout=BRING_SECONDS)
        taken += answer.taken
    return recovery_pb2.BringMetadataResponse(taken=taken, recovery=answer.recovery)


def _newest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every root and the newest of each other role, in the order in which one leads to the next."""
    named = {name: parse_name(name) for name in files}
    newest: dict[str, int] = {}
    for version, role in named.values():
        newest[role] = max(version, newest.get(role, 0))
    chosen = [name for name, (version, role) in named.items() if role == "root" or version == newest[role]]
    order = {"root": 0, "targets": 1}
    chosen.sort(key=lambda name: (order.get(named[name][1], 2), named[name][0], name))
    return {name: files[name] for name in chosen}


def _batches(files: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the files in their order, as many as one request takes: targets with all products that fit beside them."""
    batch: list[tuple[str, bytes]] = []
    for name, data in files.items():
        filled = sum(len(each) for _, each in batch)
        if batch and (len(batch) == FILES_MAX or filled + len(data) > MAX_MESSAGE_BYTES - _ROOM_BYTES):
            yield batch
            batch = []
        batch.append((name, data))
    yield batch
