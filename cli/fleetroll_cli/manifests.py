"""``fleetroll manifest``: release manifests of build pipelines: write one, look at one, make a release of one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fleetroll.v1 import releases_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.output import plain, print_json, say
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.release_manifest import MAX_RELEASE_MANIFEST_BYTES, ReleaseManifest
from fleetroll_common.values.version import Version
from fleetroll_publishing.secret import SECRET_VARIABLE, manifest_secret

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
def import_file(
    context: typer.Context,
    file: FileArgument,
    *,
    product: Annotated[str, typer.Option("--product", help="The product.")],
    notes: Annotated[str, typer.Option("--notes", help="Notes in Markdown.")] = "",
    supported_from: Annotated[
        str, typer.Option("--supported-from", help="The lowest version that is updated to this one, like >=1.0.0.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Make a release of a manifest; the server verifies it with its own secret."""
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
