"""``fleetroll manifest``: release manifests of build pipelines: write one, look at one, make a release of one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import releases_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.keyring import KeyOption, Keyring, KeysDirOption, PassphraseOption, keyring
from fleetroll_cli.output import plain, print_json, say
from fleetroll_cli.parse import read_supported_from
from fleetroll_cli.signing import Desk, Said
from fleetroll_cli.staging import stage
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.manifest_custom import ManifestCustom
from fleetroll_common.values.release_manifest import MAX_RELEASE_MANIFEST_BYTES, ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.artefact.agent import PRODUCT
from fleetroll_publishing.demands import TargetFile
from fleetroll_publishing.secret import SECRET_VARIABLE, manifest_secret
from fleetroll_publishing.verbs import Publish

if TYPE_CHECKING:
    from fleetroll_client import AdminClient

app = typer.Typer(no_args_is_help=True)

_REMEDY = f"set {SECRET_VARIABLE}, or name the file that holds it with --secret-file"

FileArgument = Annotated[Path, typer.Argument(help="The manifest.")]
SecretOption = Annotated[
    Path | None, typer.Option("--secret-file", help=f"File with the secret; default: {SECRET_VARIABLE}.")
]


@app.command()
def create(
    *,
    version: Annotated[str, typer.Option("--version", help="Semantic version.")],
    sha: Annotated[str, typer.Option("--sha", help="The commit, 7 to 64 small hex digits.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    channel: Annotated[str, typer.Option("--channel", help="The channel.")] = "stable",
    migrations_required: Annotated[
        bool,
        typer.Option("--migrations-required/--no-migrations-required", help="The product's data has to be migrated."),
    ] = False,
    breaking_changes: Annotated[str, typer.Option("--breaking-changes", help="What breaks, in words.")] = "",
    secret_file: SecretOption = None,
) -> None:
    """Write a signed release manifest; it says that it was released now."""
    manifest = ReleaseManifest(
        version=Version.parse(version),
        sha=sha,
        channel=channel,
        migrations_required=migrations_required,
        breaking_changes=breaking_changes or None,
        released_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    ).signed(manifest_secret(secret_file, os.environ, _REMEDY))
    try:
        out.write_bytes(manifest.dump())
    except OSError as error:
        message = f"out: {plain(str(out))} can't be written: {error.strerror}"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name another file", field="out") from error
    say(plain(str(out)))


@app.command()
def verify(file: FileArgument, secret_file: SecretOption = None) -> None:
    """Tell whether a manifest is whole and was signed with the secret."""
    manifest = ReleaseManifest.parse(_read(file))
    manifest.verify(manifest_secret(secret_file, os.environ, _REMEDY))
    say(
        f"{manifest.version} {manifest.sha} in {manifest.channel}, released {manifest.released_at}: the signature holds"
    )


@app.command("import")
def import_file(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    file: FileArgument,
    *,
    product: Annotated[str, typer.Option("--product", help="The product.")],
    notes: Annotated[str, typer.Option("--notes", help="Notes in Markdown.")] = "",
    supported_from: Annotated[
        str, typer.Option("--supported-from", help="The lowest version that is updated to this one, like >=1.0.0.")
    ] = "",
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Make a release of a manifest: the server verifies it with its secret and signs it, or it is signed here."""
    keys = keyring(key, keys_dir, passphrase_file)
    if keys is not None:
        with connected(context) as client:
            _import_here(client, keys, _Wish(_read(file), product, notes, supported_from), json=json)
        return
    request = releases_pb2.ImportManifestRequest(
        product=product, manifest=_read(file), notes=notes, supported_from=supported_from
    )
    with connected(context) as client:
        answer = client.releases.ImportManifest(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    channels = ", ".join(answer.release.channels)
    say(f"imported {answer.release.product} {answer.release.version} to {channels}, role version {answer.role_version}")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be a release."""

    data: bytes
    product: str
    notes: str
    supported_from: str


def _import_here(client: AdminClient, keys: Keyring, wish: _Wish, *, json: bool) -> None:
    """Sign a manifest as a release on this machine; hosts believe the product's key, and so its HMAC is not asked for.

    Raises:
        RequestError: no manifest, no product of local commands, or what signing and the server refuse (caller's fault).
    """
    if wish.product == PRODUCT:
        message = f"product: the {PRODUCT} is no product of local commands"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name another product", field="product")
    custom = ManifestCustom.of(
        wish.product, ReleaseManifest.parse(wish.data), PROTOCOL, read_supported_from(wish.supported_from)
    )
    sha256, path, desk = hashlib.sha256(wish.data).hexdigest(), custom.target_path, Desk(client, keys)
    target = TargetFile(len(wish.data), sha256, custom.to_json())
    prepared = desk.prepare({wish.product: [Publish({path: target})]})
    stage(client, path, sha256, len(wish.data), [wish.data], lambda _bytes: None)
    version = str(custom.version)
    notes = [releases_pb2.ReleaseNotes(product=wish.product, version=version, notes=wish.notes)] if wish.notes else []
    signed = desk.commit(prepared, Said(notes=notes))
    if json:
        (release,) = (one for one in signed.releases if one.version == version)
        print_json(releases_pb2.ImportManifestResponse(release=release, role_version=signed.versions[wish.product]))
        return
    role_version = signed.versions[wish.product]
    say(f"imported {wish.product} {version} to {', '.join(custom.channels)}, role version {role_version}, signed here")


def _read(file: Path) -> bytes:
    """Return the file's bytes, no more than one beyond what a manifest may have.

    Raises:
        RequestError: it can't be read (caller's fault).
    """
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_RELEASE_MANIFEST_BYTES + 1)
    except OSError as error:
        message = f"manifest: {plain(str(file))} can't be read: {error.strerror}"
        remedy = "name what `fleetroll manifest create` wrote"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="manifest") from error
