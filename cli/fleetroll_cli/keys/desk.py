"""One repository, verified, and an act on its keys: shown, checked here, agreed to, then committed.

The order keeps what can't be made again, and gives a server nothing that nobody agreed to: a signed file counts for
hosts wherever it comes from, and whoever holds a server keeps what is sent to it on trial.

1. New keys are tried in memory, and what they sign is held against the demands of the server, here. Nothing is sent.
2. A person is asked.
3. The keys are written, durably.
4. It is committed, in one request. A commit that was refused or not answered may have happened all the same: its keys
   lie there, and are never deleted.
"""

from __future__ import annotations

import hashlib
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
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import TrustError
from fleetroll_publishing.carrying.signing_copy import FIRST_ROOT
from fleetroll_publishing.commit_gate import check_commit, follow_roots, parse_name
from fleetroll_publishing.keys import PrivateKey
from fleetroll_publishing.publisher import Publisher
from fleetroll_publishing.roles import TIMESTAMP_FILE
from fleetroll_publishing.rotation import KeySet, key_sets
from fleetroll_publishing.sealing import is_signed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
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
        dry_run: check all of it here, send nothing and keep nothing.
        yes: do not ask.
        root_sha256: of the first root, in hex, where it does not lie beside the keys; empty = not said.
        force: also where new anchors do not lead to the server; a reason goes with it.
    """

    reason: str = ""
    dry_run: bool = False
    yes: bool = False
    root_sha256: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What was signed in memory.

    Attributes:
        files: signed, by name.
        keys: that are in no file yet.
        folder: where they go.
        says: what changes, in lines.
        server_signs: whether the server signs targets and products over it, with keys that the root names.
    """

    files: Mapping[str, bytes]
    folder: Path
    keys: Sequence[NewKey] = ()
    says: Sequence[str] = field(default_factory=tuple)
    server_signs: bool = False


class Desk:
    """One repository of a server."""

    def __init__(self, client: AdminClient, folders: Sequence[Path], order: Order) -> None:
        """Read the repository and hold it against what was seen from ``folders``, beside whose keys the root is pinned.

        Raises:
            FleetrollError: it can't be had, can't be trusted, or is older.
            typer.Abort: a first root that no folder knows is not the right one.
        """
        self._client, self.order = client, order
        self._publisher = Publisher(*folders)
        self.repository = self._publisher.read_for_signing(ServerRepository(client), self._believe)
        _check_root(order.root_sha256, hashlib.sha256(self.files[FIRST_ROOT]).hexdigest())
        self.now = datetime.now(UTC)
        self.standing: Mapping[str, KeySet] = key_sets(self.files)
        if not is_signed(self.files[TIMESTAMP_FILE]):
            note("nobody has signed this server's lists: it lacks keys that root names; keys rotate snapshot timestamp")
        for role, signed in (("timestamp", self.repository.timestamp), ("snapshot", self.repository.snapshot)):
            if signed.is_expired(self.now):
                note(f"{role} ended {signed.expires:%Y-%m-%d %H:%M:%SZ}: is this the newest that the server has?")

    @property
    def files(self) -> Mapping[str, bytes]:
        """Return the repository's files."""
        return self.repository.files

    @property
    def signed_here(self) -> list[str]:
        """Return those of targets and products that were signed from here, as the records beside the keys say."""
        return sorted(role for role in self._publisher.signs if role != "root")

    def said_held(self) -> set[str]:
        """Return the roles of which the server says that it holds keys: its word, which is no reason to sign."""
        with translate():
            answer = self._client.keys.GetKeyStatus(keys_pb2.GetKeyStatusRequest(), timeout=CALL_SECONDS)
        return {role.role for role in answer.roles if any(key.held_here for key in role.keys)}

    def prepare(self, roles: Sequence[str]) -> dict[str, KeySet]:
        """Let the server make keys for roles that it signs; they sign nothing yet.

        In a dry run it is asked for nothing: keys that are forgotten at once stand in for its own.
        """
        if self.order.dry_run:
            return {role: KeySet((PrivateKey.generate().public,)) for role in roles}
        with translate():
            answer = self._client.keys.PrepareOnlineKeys(
                keys_pb2.PrepareOnlineKeysRequest(roles=roles), timeout=CALL_SECONDS
            )
        made = {key.role: _public(key) for key in answer.keys}
        if set(made) != set(roles):
            raise invalid("roles", "the server prepared other keys than were asked for", "ask again")
        return {role: KeySet((key,)) for role, key in made.items()}

    def bring(self, act: Act, passphrases: Passphrases) -> int:
        """Show, check, ask, write, commit; return the version of the timestamp then.

        Raises:
            FleetrollError: it would be refused, a passphrase is missing, or the server refuses.
        """
        for line in act.says:
            say(line)
        for name in act.files:
            version, role = parse_name(name)
            say(f"sign  {role} {version}")
        if act.server_signs:
            follow_roots(self.files, act.files)  # all that can be checked before the server has signed the rest
        else:
            check_commit(self.files, act.files, self.now)
        if self.order.dry_run:
            say("checked here; nothing was sent, nothing was kept")
            return self.repository.timestamp.version
        if not self.order.yes:
            _ask("Sign and commit this?")
        for path in write_keys(act.folder, act.keys, passphrases):
            say(f"wrote {path}")
        version = self._commit(act.files)
        self._publisher.committed(act.files)
        say(f"committed, timestamp {version}")
        return version

    def exchanged(self, after: Mapping[str, KeySet], by_server: Collection[str] = ()) -> list[str]:
        """Return lines that say which keys go and which come; in a dry run no new key stays, so none is named.

        Args:
            after: who signs each role then.
            by_server: roles whose new keys the server makes.
        """
        lines = []
        for role, keys in after.items():
            standing = self.standing.get(role, KeySet((), 0))
            old, new = ([key.keyid for key in each.keys] for each in (standing, keys))
            unmade = "a new key, which the server would be asked for" if role in by_server else "a new key, made here"
            lines += [f"out   {role}  {keyid}" for keyid in old if keyid not in new]
            lines += [f"in    {role}  {unmade if self.order.dry_run else keyid}" for keyid in new if keyid not in old]
            if keys.threshold != standing.threshold:
                lines.append(f"needs {role}  {keys.threshold} of {len(new)} signatures")
        return lines

    def _commit(self, files: Mapping[str, bytes]) -> int:
        """Send it."""
        request = releases_pb2.CommitMetadataRequest(
            files=[releases_pb2.MetadataFile(name=name, payload=data) for name, data in files.items()],
            reason=self.order.reason,
            force=self.order.force,
        )
        with translate():
            return int(self._client.releases.CommitMetadata(request, timeout=COMMIT_SECONDS).timestamp_version)

    def _believe(self, root_sha256: str) -> None:
        """Let a person compare the first root, which nothing beside the keys pins."""
        say(f"root's SHA-256: {root_sha256}")
        if self.order.root_sha256:
            _check_root(self.order.root_sha256, root_sha256)
        elif self.order.yes:
            note(f"no {FIRST_ROOT} lies beside the keys: the server's first root is believed, unasked")
        else:
            remedy = f"say --root-sha256, or put the fleet's {FIRST_ROOT} beside the keys"
            _ask("Nothing beside the keys pins it. Is this the root that hosts pin?", remedy)


def _check_root(wanted: str, shown: str) -> None:
    """Refuse another first root than the one that is wanted, if one is."""
    if wanted and wanted.strip().lower() != shown:
        message = f"root_sha256: the server's first root is another one, {shown}; nothing was signed"
        raise TrustError(message, code=Code.UNSIGNED, remedy="name the right server, or the right root")


def _public(key: keys_pb2.PreparedKey) -> Key:
    """Return the public half that the server says; its id is computed here."""
    value = key.public_key.hex()
    return NaClKey(key_id(value), value)


def _ask(question: str, remedy: str = "look at it with --dry-run, then say --yes") -> None:
    """Ask a person.

    Raises:
        RequestError: there is nobody; ``remedy`` says what to do then (caller's fault).
        typer.Abort: no.
    """
    if not sys.stdin.isatty():
        raise invalid("yes", "nobody can be asked here", remedy)
    typer.confirm(question, abort=True, err=True)
