"""A TUF repository in memory whose every part a test may bend, served over HTTP on the loopback interface.

Made with the metadata library's own classes and keys, not with this project's publishing: what is tested is whether the
client copes with repositories that others make. What a test changes is seen by clients once it is published.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, unquote

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_T = TypeVar("_T")
LISTS = ("targets", "snapshot", "timestamp")
EVERYTHING = ("targets", "snapshot", "timestamp", "root")
LIFE = timedelta(days=30)


def new_key(kind: str = "ed25519") -> CryptoSigner:
    """Return a fresh key: ``ed25519``, ``ecdsa``, or an RSA scheme."""
    if kind == "ecdsa":
        return CryptoSigner.generate_ecdsa()
    return CryptoSigner.generate_ed25519() if kind == "ed25519" else CryptoSigner.generate_rsa(scheme=kind)


@dataclass
class Repository:
    """Attributes:

    signed: the current content of each role, by name.
    keys: what each role is signed with, when it is published.
    files: what is served as metadata, by name, encoded as in a URL.
    targets: what is served as target files, by path, hash prefix included.
    asked: names of metadata files that clients asked for, decoded, without ``.json``.
    fetched: paths of targets that clients asked for.
    describes: whether lists hold length and hash of what they name.
    """

    kind: str = "ed25519"
    signed: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, list[CryptoSigner]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    targets: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    describes: bool = False

    def __post_init__(self) -> None:
        """Publish version 1 of the four roles, each with a key of its own."""
        expires = datetime.now(UTC).replace(microsecond=0) + LIFE
        kinds: dict[str, Any] = {"root": Root, "timestamp": Timestamp, "snapshot": Snapshot, "targets": Targets}
        for role, kind in kinds.items():
            self.signed[role] = kind(expires=expires)
        for role in kinds:
            self.add_key(role)
        self.publish(*EVERYTHING, raised=False)

    @property
    def root(self) -> Root:
        return self._of(Root, "root")

    @property
    def timestamp(self) -> Timestamp:
        return self._of(Timestamp, "timestamp")

    @property
    def snapshot(self) -> Snapshot:
        return self._of(Snapshot, "snapshot")

    @property
    def top(self) -> Targets:
        """The top-level targets role."""
        return self.listing("targets")

    def listing(self, role: str) -> Targets:
        """Return a role that lists targets."""
        return self._of(Targets, role)

    def _of(self, kind: type[_T], role: str) -> _T:
        signed = self.signed[role]
        assert isinstance(signed, kind)
        return signed

    def add_key(self, role: str, key: CryptoSigner | None = None) -> CryptoSigner:
        """Name one more key of a top-level role and sign with it from now on."""
        fresh = key or new_key(self.kind)
        self.root.add_key(fresh.public_key, role)
        self.keys.setdefault(role, []).append(fresh)
        return fresh

    def exchange_keys(self, role: str) -> None:
        """Replace the keys of a top-level role by as many new ones."""
        count = len(self.keys.pop(role))
        self.root.roles[role].keyids.clear()
        for _ in range(count):
            self.add_key(role)

    def delegate(self, by: str, role: str, *, signed_by: CryptoSigner | None = None, **terms: Any) -> None:
        """Let ``by`` delegate to ``role``, after what it delegates already; ``terms`` as of ``DelegatedRole``."""
        delegator, fresh = self.listing(by), signed_by or new_key(self.kind)
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, roles={})
        known: dict[str, Any] = {"threshold": 1, "terminating": False, "keyids": []}
        if "path_hash_prefixes" not in terms:
            known["paths"] = ["*", "*/*"]
        assert delegator.delegations.roles is not None
        delegator.delegations.roles[role] = DelegatedRole(name=role, **(known | terms))
        delegator.add_key(fresh.public_key, role)
        self.keys.setdefault(role, []).append(fresh)
        if role not in self.signed:
            self.signed[role] = Targets(expires=self.root.expires)

    def delegate_bins(self, by: str, bits: int, prefix: str) -> None:
        """Let ``by`` delegate to the hashed bins of succinct delegation."""
        key, delegator = new_key(self.kind), self.listing(by)
        bins = SuccinctRoles([], 1, bits, prefix)
        delegator.delegations = Delegations({}, None, bins)
        delegator.add_key(key.public_key)
        for role in bins.get_roles():
            self.signed[role] = Targets(expires=self.root.expires)
            self.keys[role] = [key]

    def add_target(self, role: str, path: str, data: bytes, *hashes: str) -> TargetFile:
        """List a target in ``role`` and serve its file under all names that clients may use."""
        target = TargetFile.from_data(path, data, list(hashes or ("sha256",)))
        self.listing(role).targets[path] = target
        folder, slash, name = path.rpartition("/")
        for prefix in ("", *(f"{digest}." for digest in target.hashes.values())):
            self.targets[f"{folder}{slash}{prefix}{name}"] = data
        return target

    def publish(self, *roles: str, raised: bool = True) -> None:
        """Sign the next version of each of ``roles``, serve it, and name it in the list above it."""
        for role in roles:
            if raised:
                self.signed[role].version += 1
            self.serve(role, self.sign(role))

    def sign(self, role: str, keys: Iterable[CryptoSigner] | None = None) -> bytes:
        """Return the file of ``role`` as it stands, signed by ``keys`` or by the role's own."""
        metadata: Metadata[Any] = Metadata(self.signed[role])
        for key in self.keys[role] if keys is None else keys:
            metadata.sign(key, append=True)
        return metadata.to_bytes()

    def serve(self, role: str, data: bytes) -> None:
        """Serve the file of ``role`` under the names of its version, and name it in the list above it."""
        version, name = self.signed[role].version, quote(role, safe="")
        if role == "root" or (role != "timestamp" and self.root.consistent_snapshot):
            self.files[f"{version}.{name}.json"] = data
        else:
            self.files[f"{name}.json"] = data
        described = MetaFile.from_data(version, data, ["sha256"]) if self.describes else MetaFile(version)
        if role == "snapshot":
            self.timestamp.snapshot_meta = described
        elif role not in {"root", "timestamp"}:
            self.snapshot.meta[f"{role}.json"] = described

    def latest(self, role: str) -> bytes:
        """Return what is served for the current version of ``role``."""
        return self.files[self.name(role)]

    def name(self, role: str) -> str:
        """Return the name under which the current version of ``role`` is served."""
        encoded = quote(role, safe="")
        versioned = f"{self.signed[role].version}.{encoded}.json"
        return versioned if versioned in self.files else f"{encoded}.json"

    def answer(self, path: str) -> bytes | None:
        """Return the file behind the path of a request; None = there is none."""
        kind, _, name = path.lstrip("/").partition("/")
        if kind == "metadata":
            self.asked.append(unquote(name).removesuffix(".json"))
            return self.files.get(name)
        path = name if name in self.targets else unquote(name)
        self.fetched.append(path)
        return self.targets.get(path)


class Served:
    """The repository at a port of this machine while the block runs."""

    def __init__(self, repository: Repository) -> None:
        """Prepare; the port is open inside the block."""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = repository.answer(self.path)
                if data is None:
                    self.send_error(404)
                    return
                with contextlib.suppress(ConnectionError):  # a client that has read enough
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Open."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def sha256(data: bytes) -> str:
    """Return the digest, hex."""
    return hashlib.sha256(data).hexdigest()
