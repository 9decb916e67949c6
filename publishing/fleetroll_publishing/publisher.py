"""What a publisher signs on: the repository as it was verified, and never an older one than it has seen.

A server may lie to whoever signs for it: it may show a list from before a yank, and have it signed as the newest. So a
publisher keeps a small record beside the keys: the first root, the highest version that it has seen of every role but
the server's own two, and of each role the digest of what it signed last. What is older, or another file under a version
that was signed here, is refused before anything is signed.

1. The metadata is fetched and verified from the first root on, as a host does it
   (:mod:`~fleetroll_publishing.carrying.chain`). The first time that root is believed, unless it lies beside the keys.
2. It is compared with the record; then the record takes it in. Keys may lie in several folders: each has its own record
   and perhaps its own first root, all of them have to agree, and which was named first makes no difference.
3. What was signed is remembered once the server has said that it took it. What it never said so of was not published as
   far as the publisher knows, and is signed anew on what is shown.
4. The files themselves are kept beside the record (:mod:`~fleetroll_publishing.kept`), to be brought to a server that
   was restored from before them.

Not done here: keys, and what is signed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fleetroll_common.durable import DamagedRecord, dump_record, load_record, write_durably
from fleetroll_common.trust.limits import ROOT_BYTES_MAX
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError, TrustError
from fleetroll_publishing.carrying.chain import FIRST_ROOT, read_chain
from fleetroll_publishing.carrying.signing_copy import read_for_signing
from fleetroll_publishing.commit_gate import parse_name
from fleetroll_publishing.demands import ONLINE_ROLES
from fleetroll_publishing.kept import keep
from fleetroll_publishing.roles import file_name, read_repository, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fleetroll_common.trust import MetadataSource
    from fleetroll_common.values.clock import Clock
    from fleetroll_publishing.carrying.chain import Remote
    from fleetroll_publishing.roles import Repository

RECORD_NAME = "publisher.json"
_KIND = "fleetroll-publisher-1"


@dataclass(frozen=True, slots=True)
class Record:
    """What a publisher remembers.

    Attributes:
        root_sha256: of the first root, in hex; empty before the first time.
        versions: the highest that was seen, by role.
        signed: by role, what was signed here and taken last: its version and its file's SHA-256 in hex.
    """

    root_sha256: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    signed: Mapping[str, tuple[int, str]] = field(default_factory=dict)


class Publisher:
    """The folders of keys at hand, and what their holders have seen of one repository."""

    def __init__(self, *folders: Path) -> None:
        """Remember in ``folders``, at least one; where one does not exist yet, nothing is known from there."""
        self._folders = tuple(dict.fromkeys(folders))
        self._shown: Mapping[str, bytes] = {}

    @property
    def signs(self) -> frozenset[str]:
        """Return the roles that were signed from one of these folders, whatever a server says.

        Raises:
            RequestError: a record is damaged (caller's fault).
        """
        return frozenset(role for folder in self._folders for role in _load(folder).signed)

    @property
    def knows_root(self) -> bool:
        """Tell whether any folder says which root is the first; else the one that is shown is taken on trust.

        Raises:
            FleetrollError: as :meth:`read`.
        """
        return bool(self._pinned()) or any(_load(folder).root_sha256 for folder in self._folders)

    def read(self, remote: Remote, clock: Clock) -> Repository:
        """Return the repository as it is now, verified, and not older than what was seen. Blocks.

        Raises:
            TrustError: it can't be trusted; UNSIGNED: it begins with another root; METADATA_ROLLBACK: it is older than
                what was seen or signed here.
            RequestError: the record is damaged (caller's fault).
            FleetrollError: a file can't be had.
            OSError: the record can't be written.
        """
        return self._seen(read_chain(remote, clock, self._pinned()).files)

    def read_for_signing(self, source: MetadataSource, believe: Callable[[str], None] | None = None) -> Repository:
        """Return the same, expired or not: whoever holds keys of root or targets signs what has expired again.

        Args:
            source: of the metadata.
            believe: is told the SHA-256 of the first root, in hex, where no folder knows it, before it is taken in;
                raises where it is not to be believed.

        Raises:
            FleetrollError, OSError: as :meth:`read`.
        """
        pinned = self._pinned()
        root = pinned[FIRST_ROOT] if pinned else source.fetch(FIRST_ROOT, ROOT_BYTES_MAX)
        files = read_for_signing(source, root)
        if believe is not None and not self.knows_root:
            believe(hashlib.sha256(root).hexdigest())
        return self._seen(files)

    def _seen(self, files: Mapping[str, bytes]) -> Repository:
        """Compare verified files with every record, and take them in."""
        root_sha256 = hashlib.sha256(files[FIRST_ROOT]).hexdigest()
        versions = {each.role: each.version for each in standings(files) if each.role not in ONLINE_ROLES}
        known = {folder: _load(folder) for folder in self._folders}
        self._shown = files
        for record in known.values():
            _check(record, files, root_sha256, versions)
        for folder, record in known.items():
            if folder.is_dir():
                keep(folder, files)
                _save(folder, replace(record, root_sha256=root_sha256, versions={**record.versions, **versions}))
        return read_repository(files)

    def begun(self, files: Mapping[str, bytes]) -> None:
        """Remember the first files of a repository, signed here: no server ever had the keys of their roles.

        Args:
            files: the whole repository, by name.

        Raises:
            OSError: a record can't be written.
        """
        names = [file_name(each.role, each.version) for each in standings(files) if each.role not in ONLINE_ROLES]
        self._seen(files)
        self.committed({name: files[name] for name in names})

    def committed(self, files: Mapping[str, bytes]) -> None:
        """Remember in every folder that a server has taken ``files``, signed here: it can't show less from now on.

        Args:
            files: of root, targets and products, by name.

        Raises:
            OSError: a record can't be written.
        """
        known = {folder: _load(folder) for folder in self._folders if folder.is_dir()}
        roots = [record.root_sha256 for record in known.values() if record.root_sha256]
        for folder, record in known.items():
            signed = dict(record.signed)
            for name, data in files.items():
                version, role = parse_name(name)
                signed[role] = max(signed.get(role, (0, "")), (version, hashlib.sha256(data).hexdigest()))
            versions = {**record.versions, **{role: version for role, (version, _) in signed.items()}}
            root_sha256 = record.root_sha256 or next(iter(roots), "")  # a folder that was made for new keys
            keep(folder, {**self._shown, **files})
            _save(folder, Record(root_sha256, versions, signed))

    def _pinned(self) -> dict[str, bytes]:
        """Return the first root where it lies beside keys.

        Raises:
            TrustError: UNSIGNED: beside some of them lies another one.
        """
        paths = [folder / FIRST_ROOT for folder in self._folders if (folder / FIRST_ROOT).is_file()]
        roots = {path.read_bytes() for path in paths}
        if len(roots) > 1:
            message = f"the keys are of several repositories: {FIRST_ROOT} differs beside them; nothing was signed"
            raise TrustError(message, code=Code.UNSIGNED, remedy="name key files of one repository", file=FIRST_ROOT)
        return {FIRST_ROOT: roots.pop()} if roots else {}


def _check(record: Record, files: Mapping[str, bytes], root_sha256: str, versions: Mapping[str, int]) -> None:
    """Refuse verified files that are less than a record knows."""
    if record.root_sha256 not in {"", root_sha256}:
        message = "the server's repository begins with another root than the one that was signed for from here"
        raise TrustError(message, code=Code.UNSIGNED, remedy="name the right server, or another folder of keys")
    for role, version in record.versions.items():
        if versions.get(role, 0) < version:
            raise _older(role, f"version {version} was seen, {versions.get(role, 0)} is shown")
    for role, (version, sha256) in record.signed.items():
        name = file_name(role, version)
        if name in files and hashlib.sha256(files[name]).hexdigest() != sha256:
            raise _older(role, f"version {version} was signed here, and another one is shown")


def _load(folder: Path) -> Record:
    """Return what is remembered in ``folder``."""
    path = folder / RECORD_NAME
    try:
        return _read(load_record(path.read_bytes()))
    except FileNotFoundError:
        return Record()
    except (DamagedRecord, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path.name}: what this publisher has seen can't be read"
        remedy = "bring the file back from a backup; without it an old list would be believed"
        raise RequestError(message, code=Code.STORE_FAILED, remedy=remedy, path=str(path)) from error


def _save(folder: Path, record: Record) -> None:
    """Write it, durably."""
    document = {
        "kind": _KIND,
        "root_sha256": record.root_sha256,
        "versions": dict(record.versions),
        "signed": {role: list(one) for role, one in record.signed.items()},
    }
    write_durably(folder / RECORD_NAME, dump_record(document))


def _read(record: dict[str, Any]) -> Record:
    """Return what a record says; raises what a damaged one brings about."""
    if record["kind"] != _KIND:
        raise ValueError(record["kind"])
    signed = {role: (int(version), str(sha256)) for role, (version, sha256) in record["signed"].items()}
    versions = {role: int(version) for role, version in record["versions"].items()}
    return Record(str(record["root_sha256"]), versions, signed)


def _older(role: str, what: str) -> TrustError:
    """Return the refusal of what was shown."""
    return TrustError(
        f"{role}: {what}; nothing was signed",
        code=Code.METADATA_ROLLBACK,
        remedy="find out why the server shows an older list before you sign anything; where it was restored from a "
        "backup, fleetroll recovery bring gives it what was signed since",
        role=role,
    )
