"""One repository, verified, and an act on its keys: shown, checked at the server, then signed and committed.

The order keeps what can't be made again. New keys are tried in memory, and the server checks what they sign in a trial
run; then a person is asked; then the keys are written, durably; then it is committed. A commit that was not answered
may have happened: its keys lie there, and are never deleted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from fleetroll.v1 import keys_pb2, releases_pb2
from fleetroll_cli.context import CALL_SECONDS
from fleetroll_cli.keys.options import invalid
from fleetroll_cli.keys.ring import write_keys
from fleetroll_cli.output import note, say
from fleetroll_cli.repository import ServerRepository
from fleetroll_client import translate
from fleetroll_common.trust.keys import NaClKey, key_id
from fleetroll_publishing.commit_gate import parse_name
from fleetroll_publishing.publisher import Publisher
from fleetroll_publishing.rotation import KeySet, key_sets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fleetroll_cli.keys.ring import NewKey, Passphrases
    from fleetroll_client import AdminClient
    from fleetroll_common.trust.library import Key

COMMIT_SECONDS = 4 * CALL_SECONDS


@dataclass(frozen=True, slots=True)
class Order:
    """How an act is to be done.

    Attributes:
        reason: why, in words.
        dry_run: check all of it and keep nothing.
        yes: do not ask.
    """

    reason: str = ""
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What was signed in memory.

    Attributes:
        files: signed, by name.
        keys: that are in no file yet.
        folder: where they go.
        says: what changes, in lines.
    """

    files: Mapping[str, bytes]
    folder: Path
    keys: Sequence[NewKey] = ()
    says: Sequence[str] = field(default_factory=tuple)


class Desk:
    """One repository of a server."""

    def __init__(self, client: AdminClient, folder: Path) -> None:
        """Read the repository and hold it against what was seen from ``folder``, beside whose keys the root is pinned.

        Raises:
            FleetrollError: it can't be had, can't be trusted, or is older.
        """
        self._client = client
        self._publisher = Publisher(folder)
        self.repository = self._publisher.read_for_signing(ServerRepository(client))
        self.now = datetime.now(UTC)
        self.standing: Mapping[str, KeySet] = key_sets(self.files)
        for role, signed in (("timestamp", self.repository.timestamp), ("snapshot", self.repository.snapshot)):
            if signed.is_expired(self.now):
                note(f"{role} ended {signed.expires:%Y-%m-%d %H:%M:%SZ}: is this the newest that the server has?")

    @property
    def files(self) -> Mapping[str, bytes]:
        """Return the repository's files."""
        return self.repository.files

    def status(self) -> keys_pb2.GetKeyStatusResponse:
        """Ask the server how keys stand."""
        with translate():
            answer: keys_pb2.GetKeyStatusResponse = self._client.keys.GetKeyStatus(
                keys_pb2.GetKeyStatusRequest(), timeout=CALL_SECONDS
            )
        return answer

    def held_by_server(self) -> set[str]:
        """Return the roles whose keys the server holds, all of them."""
        return {role.role for role in self.status().roles if all(key.held_here for key in role.keys)}

    def prepare(self, roles: Sequence[str]) -> dict[str, KeySet]:
        """Let the server make keys for roles that it signs; they sign nothing yet."""
        with translate():
            answer = self._client.keys.PrepareOnlineKeys(
                keys_pb2.PrepareOnlineKeysRequest(roles=roles), timeout=CALL_SECONDS
            )
        made = {key.role: _public(key) for key in answer.keys}
        if set(made) != set(roles):
            raise invalid("roles", "the server prepared other keys than were asked for", "ask again")
        return {role: KeySet((key,)) for role, key in made.items()}

    def bring(self, act: Act, order: Order, passphrases: Passphrases) -> int:
        """Show, check, ask, write, commit; return the version of the timestamp then.

        Raises:
            FleetrollError: the server refuses, or a passphrase is missing; nothing was committed.
        """
        for line in act.says:
            say(line)
        for name in act.files:
            version, role = parse_name(name)
            say(f"sign  {role} {version}")
        self._commit(act.files, order.reason, dry_run=True)
        if order.dry_run:
            say("checked; nothing was kept")
            return self.repository.timestamp.version
        if not order.yes:
            _ask("Sign and commit this?")
        for path in write_keys(act.folder, act.keys, passphrases):
            say(f"wrote {path}")
        version = self._commit(act.files, order.reason, dry_run=False)
        self._publisher.committed(act.files)
        say(f"committed, timestamp {version}")
        return version

    def _commit(self, files: Mapping[str, bytes], reason: str, *, dry_run: bool) -> int:
        """Send it."""
        request = releases_pb2.CommitMetadataRequest(
            files=[releases_pb2.MetadataFile(name=name, payload=data) for name, data in files.items()],
            reason=reason,
            dry_run=dry_run,
        )
        with translate():
            return int(self._client.releases.CommitMetadata(request, timeout=COMMIT_SECONDS).timestamp_version)


def exchanged(before: Mapping[str, KeySet], after: Mapping[str, KeySet]) -> list[str]:
    """Return lines that say which keys go and which come."""
    lines = []
    for role, keys in after.items():
        old = {key.keyid: key for key in before[role].keys} if role in before else {}
        new = {key.keyid: key for key in keys.keys}
        lines += [f"out   {role}  {keyid}" for keyid in old if keyid not in new]
        lines += [f"in    {role}  {keyid}" for keyid in new if keyid not in old]
        threshold = before[role].threshold if role in before else 0
        if keys.threshold != threshold:
            lines.append(f"needs {role}  {keys.threshold} of {len(new)} signatures")
    return lines


def _public(key: keys_pb2.PreparedKey) -> Key:
    """Return the public half that the server says; its id is computed here."""
    value = key.public_key.hex()
    return NaClKey(key_id(value), value)


def _ask(question: str) -> None:
    """Ask a person.

    Raises:
        typer.Abort: no.
    """
    if not sys.stdin.isatty():
        raise invalid("yes", "nobody can be asked here", "look at it with --dry-run, then say --yes")
    typer.confirm(question, abort=True, err=True)
