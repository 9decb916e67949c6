"""Whoever stole a key: what they can show a host, and bring to a server, with all online keys besides."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from fleetroll.v1 import releases_pb2
from fleetroll_client import translate
from fleetroll_common.trust import TrustClient
from fleetroll_common.trust.library import TargetFile
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import FleetrollError
from fleetroll_publishing.keys import Passphrase, PrivateKey, load_key
from fleetroll_publishing.roles import read_repository, sign_role
from fleetroll_publishing.rotation import key_sets
from fleetroll_publishing.signers import NaClSigner, RoleSigners
from fleetroll_server.secrets import Secrets
from tests.faults.repositories import Repository, path_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.host import Host

EVIL = "66.6.6"
READS_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def online_keys(fleet: Fleet) -> dict[str, NaClSigner]:
    """Return every key that the server holds now, by role: whoever has its folder has them."""
    secrets = Secrets.load(fleet.data.secret_key)
    rows = fleet.records.rows("SELECT key, value FROM meta WHERE key LIKE 'signing_key/%'")
    return {key.partition("/")[2]: NaClSigner(PrivateKey(secrets.open(value))) for key, value in rows}


def stolen(path: Path, passphrase: str) -> NaClSigner:
    """Return what a key file holds, to somebody who looked over the owner's shoulder."""
    return NaClSigner(load_key(path, Passphrase(passphrase)))


class Shown(Repository):
    """What a thief shows: the server's own files, with what the stolen key signs among them."""

    def __init__(self, files: dict[str, bytes], online: dict[str, NaClSigner]) -> None:
        """Begin with what is honest."""
        self.files = files
        self.signers = RoleSigners((), None, {}, online["snapshot"], online["timestamp"])
        self.shown = None
        self.forged = {}
        self.asked = []


class Thief:
    """Holds one stolen key, and everything that the server holds now.

    Attributes:
        role: what the key was for.
        keys: one, or several of the role.
    """

    def __init__(self, fleet: Fleet, role: str, keys: Sequence[NaClSigner]) -> None:
        """Steal."""
        self.fleet = fleet
        self.role = role
        self.keys = list(keys)

    def is_refused(self, host: Host) -> None:
        """See the thief refused by a host as it is now, and by the server; nothing of it is listed.

        Raises:
            AssertionError: something was taken, or refused for another reason.
        """
        now = key_sets(self.fleet.records.metadata())
        named = {key.keyid for keys in now.values() for key in keys.keys}
        assert not named & {key.public_key.keyid for key in self.keys}, "the stolen key is named still"
        shown = self._forgery()
        self._by_host(host, shown)
        self._by_server(shown)

    def _forgery(self) -> Shown:
        """Return the server's repository with what the thief makes of it."""
        shown = Shown(self.fleet.records.metadata(), online_keys(self.fleet))
        key = self.keys[0]
        if self.role in {"timestamp", "snapshot"}:
            read = read_repository(shown.files)
            signed: Any = read.timestamp if self.role == "timestamp" else read.snapshot
            signed.version += 1000
            if self.role == "timestamp":
                shown.forged["timestamp.json"] = sign_role(signed, [key])
            else:
                shown.signed_by_thief("snapshot", lambda _snapshot: None, by=key)
                name = f"{read.snapshot.version - 999}.snapshot.json"
                data = shown.forged[name]
                assert isinstance(data, bytes)
                shown._list("snapshot", read.snapshot.version - 999, data)
            return shown
        if self.role == "root":
            shown.signed_by_thief("root", lambda root: root.add_key(NEW.public_key, "targets"), by=key)
        else:
            shown.signed_by_thief(self.role, _lists_evil if "/" in self.role else lambda _role: None, by=key)
        return shown

    def _by_host(self, host: Host, shown: Shown) -> None:
        """Show it to a host that is where the real one is: its own folder of trust, copied."""
        copy = host.state.parent / f"{host.name}-trust-{len(list(host.state.parent.iterdir()))}"
        shutil.copytree(host.state / "trust", copy)
        root = (host.state / "identity" / "root.json").read_bytes()
        client = TrustClient(copy, root, shown, SystemClock(), READS_BEFORE)
        product = self.role.removeprefix("products/") if "/" in self.role else "agent"
        with pytest.raises(FleetrollError) as caught:
            client.targets(product)
        assert caught.value.code is Code.UNSIGNED, caught.value

    def _by_server(self, shown: Shown) -> None:
        """Bring it to the server, with the right to call."""
        before = self.fleet.records.metadata()
        files = {
            name: data for name, data in shown.forged.items() if "snapshot" not in name and "timestamp" not in name
        }
        if not files:
            return  # the server takes neither list from anybody
        request = releases_pb2.CommitMetadataRequest(
            files=[releases_pb2.MetadataFile(name=name, payload=data) for name, data in files.items()]  # type: ignore[arg-type]
        )
        with pytest.raises(FleetrollError) as caught, translate():
            self.fleet.client.releases.CommitMetadata(request, timeout=20)
        assert caught.value.code is Code.UNSIGNED, caught.value
        after = self.fleet.records.metadata()
        assert {name: after[name] for name in before if name != "timestamp.json"} == {
            name: data for name, data in before.items() if name != "timestamp.json"
        }


NEW = NaClSigner(PrivateKey(bytes(range(32))))


def _lists_evil(role: Any) -> None:
    """List what nobody published."""
    path = path_of(EVIL, "agent")
    role.targets[path] = TargetFile(7, {"sha256": "6" * 64}, path)
