"""The trust module of the agent, driven by commands: the client that the public TUF conformance suite tests.

Everything that decides is the agent's: :class:`TrustClient` with its floor, its bounds, its time and its files. Swapped
is where bytes come from (HTTP in the place of the stream). Added is what the agent never does:

- a target is searched through any delegations, by the library's own walk (the agent knows one role per product);
- the file of a target is fetched here, whole, and held against whatever hashes are signed (the agent resumes, paces,
  asks mirrors, and takes SHA-256 alone);
- keys of other kinds than Ed25519 are verified by the library's own key class, where ``cryptography`` is installed.

The suite looks into the metadata folder: the trusted files lie there under their names without versions, copies of what
the trust module holds in a folder of its own below.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import quote

from fleetroll_common.durable import write_durably
from fleetroll_common.trust import MetadataAbsent, TrustClient, faults
from fleetroll_common.trust.floor import FLOOR_NAME
from fleetroll_common.trust.library import LengthOrHashMismatchError
from fleetroll_common.trust.listing import not_listed
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_common.trust.library import TargetFile
    from fleetroll_common.trust.updater import DurableUpdater
    from fleetroll_common.values.clock import Clock

TIMEOUT_SECONDS = 30.0
BUILT_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""The suite plays in the past as well: no time is too early for this build."""
_ABSENT = frozenset({403, 404})
_URL_SAFE = "/%:@!$&'()*+,;=~"
"""A target's path is a relative URL already; only what would end the path, or can't stand in a request, is encoded."""
_ROOT = re.compile(r"([0-9]+)\.root\.json", re.ASCII)


class HttpSource:
    """The byte source: metadata files below a URL, straight, without proxies."""

    def __init__(self, base_url: str) -> None:
        """Read below ``base_url``."""
        self._base_url = f"{base_url.rstrip('/')}/"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return a file; see ``MetadataSource``. ``name`` comes encoded for a URL."""
        try:
            with self._opener.open(self._base_url + name, timeout=TIMEOUT_SECONDS) as response:
                return bytes(response.read(max_bytes + 1))
        except HTTPError as error:
            error.close()
            if error.code in _ABSENT:
                raise MetadataAbsent(name) from error
            raise


@dataclass(frozen=True)
class Folders:
    """The metadata folder, and in it what the trust module keeps; a folder's name is none of a role's file."""

    shown: Path

    @property
    def pinned(self) -> Path:
        """The root that `init` was given."""
        return self.shown / "own" / "pinned"

    @property
    def trust(self) -> Path:
        """The folder of the trust module."""
        return self.shown / "own" / "trust"

    def show(self) -> None:
        """Lay what is trusted now beside it, byte by byte."""
        history = [(_ROOT.fullmatch(path.name), path) for path in self.trust.glob("root_history/*")]
        roots = {int(found[1]): path for found, path in history if found}
        newest = roots[max(roots)] if roots else self.pinned
        shutil.copyfile(newest, self.shown / "root.json")
        for path in self.trust.glob("*.json"):
            if path.name != FLOOR_NAME:
                shutil.copyfile(path, self.shown / path.name)


def init(folders: Folders, root: Path) -> None:
    """Pin ``root``; nothing is fetched, and nothing is judged before the first refresh."""
    folders.pinned.parent.mkdir(parents=True, exist_ok=True)
    write_durably(folders.pinned, root.read_bytes())
    folders.show()


def refresh(folders: Folders, url: str, clock: Clock) -> DurableUpdater:
    """Bring the top-level metadata up to date; return what was verified.

    Raises:
        FleetrollError: it was refused, or could not be had.
    """
    client = TrustClient(folders.trust, folders.pinned.read_bytes(), HttpSource(url), clock, BUILT_AT)
    try:
        client.refresh()
    finally:
        folders.show()
    verified = client._verified
    assert verified is not None
    return verified


def download(folders: Folders, url: str, clock: Clock, name: str, targets_url: str, into: Path) -> None:
    """Bring metadata up to date, search the target ``name``, and leave its verified file in ``into``.

    Raises:
        FleetrollError: something of it was refused, or could not be had.
    """
    updater = refresh(folders, url, clock)
    try:
        target = updater.get_targetinfo(name)
    except faults.CAUSES as error:
        raise faults.explain(error, updater.sight) from error
    finally:
        folders.show()
    if target is None:
        raise not_listed(name)
    # The name says nothing about the place: one file per target, whatever a path may look like.
    file = into / hashlib.sha256(name.encode()).hexdigest()
    if not (file.is_file() and _fits(target, file.read_bytes())):
        _fetch_target(target, HttpSource(targets_url), file, hashed=updater.root.consistent_snapshot is True)


def _fetch_target(target: TargetFile, source: HttpSource, file: Path, *, hashed: bool) -> None:
    """Fetch one file and keep it when it is what was signed."""
    folder, slash, name = target.path.rpartition("/")
    prefix = f"{next(iter(target.hashes.values()))}." if hashed else ""
    path = quote(f"{folder}{slash}{prefix}{name}", safe=_URL_SAFE)
    remedy = "find out who answers in the repository's place"
    try:
        data = source.fetch(path, target.length)
    except Exception as error:
        text = f"{target.path!a} could not be fetched: {error}"
        raise AgentError(text, code=Code.DOWNLOAD_FAILED, remedy="try again") from error
    if not _fits(target, data):
        raise TrustError(f"{target.path!a} is not the signed file", code=Code.WRONG_HASH, remedy=remedy)
    write_durably(file, data)


def _fits(target: TargetFile, data: bytes) -> bool:
    """Tell whether these are the signed bytes."""
    try:
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    """Return the commands, as the suite gives them."""
    parser = argparse.ArgumentParser(prog="client", description=__doc__.partition("\n")[0])
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", default="")
    parser.add_argument("--target-base-url", default="")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


def main(arguments: Sequence[str], clock: Clock | None = None) -> int:
    """Run one command; return 0 when all of it succeeded, 1 when anything was refused or could not be had."""
    asked = _parser().parse_args(arguments)
    folders, now = Folders(asked.metadata_dir), clock or SystemClock()
    try:
        if asked.command == "init":
            init(folders, asked.trusted_root)
        elif asked.command == "refresh":
            refresh(folders, asked.metadata_url, now)
        else:
            download(folders, asked.metadata_url, now, asked.target_name, asked.target_base_url, asked.target_dir)
    except FleetrollError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
