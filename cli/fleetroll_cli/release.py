"""``fleetroll release``: build the artefact of a product, publish it, list what is published, take it elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import releases_pb2, types_pb2
from fleetroll_cli import carrying, products
from fleetroll_cli.building import Wish, build_release, read_description
from fleetroll_cli.context import JsonOption, connected
from fleetroll_cli.names import local_time
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import between, said
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.wire.channel import CHUNK_BYTES
from fleetroll_publishing.artefact.agent import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(no_args_is_help=True)
app.add_typer(products.app, name="product", help="The products that releases can be published of.")
app.command()(carrying.mirror)
app.command()(carrying.bundle)
PUBLISH_SECONDS = 600.0
"""How long an upload may take in all."""

ProductOption = Annotated[str, typer.Option("--product", help="The product.")]
VersionOption = Annotated[str, typer.Option("--version", help="Semantic version.")]
PlatformOption = Annotated[
    str,
    typer.Option("--platform", help="os/arch, os/arch/abi, os/any or any; the agent's is this machine's by default."),
]


@app.command()
def build(  # noqa: PLR0913 (one parameter per option)
    *,
    version: VersionOption,
    out: Annotated[Path, typer.Option("--out", help="Folder for the artefact and its description.")],
    path: Annotated[
        Path | None, typer.Argument(help="The product's folder or its one file; left out for the agent.")
    ] = None,
    product: Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")] = PRODUCT,
    platform: PlatformOption = "",
    entry: Annotated[str, typer.Option("--entry", help="Path of the first file in the product's folder.")] = "",
    git_sha: Annotated[
        str, typer.Option("--git-sha", help="The commit; default: that of the repository in which PATH lies.")
    ] = "",
    source: Annotated[Path, typer.Option("--source", help="Root of the agent's source tree.")] = Path(),
    level: Annotated[
        int, typer.Option("--level", callback=between(1, 19, "level"), help="Compression, 1 (quick) to 19 (small).")
    ] = 19,
) -> None:
    """Make the deterministic artefact of a product: the same source gives the same bytes."""
    wish = Wish(product or PRODUCT, version, platform, git_sha, entry, level)
    say(str(build_release(wish, out, path=path, source=source)))


@app.command()
def publish(
    context: typer.Context,
    *,
    artefact: Annotated[Path, typer.Argument(help="The artefact that `release build` made.")],
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Channel; may be repeated.")] = None,
    notes: Annotated[str, typer.Option("--notes", help="Notes in Markdown.")] = "",
    breaking_changes: Annotated[str, typer.Option("--breaking-changes", help="What breaks, in words.")] = "",
    migrations_required: Annotated[
        bool, typer.Option("--migrations-required", help="The product's data has to be migrated.")
    ] = False,
    supported_from: Annotated[
        str, typer.Option("--supported-from", help="The lowest version that is updated to this one, like >=1.0.0.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Upload an artefact and have it signed and listed."""
    header = _header(artefact, channel or ["stable"])
    header.notes, header.breaking_changes = notes, breaking_changes
    header.migrations_required, header.supported_from = migrations_required, supported_from
    with connected(context) as client:
        answer = client.releases.PublishRelease(_parts(header, artefact), timeout=PUBLISH_SECONDS)
    if json:
        print_json(answer)
        return
    channels = ", ".join(answer.release.channels)
    say(
        f"published {answer.release.product} {answer.release.version} to {channels}, role version {answer.role_version}"
    )


@app.command("list")
def list_releases(context: typer.Context, product: ProductOption = "", json: JsonOption = False) -> None:
    """List releases, newest version first."""
    with connected(context) as client:
        request = releases_pb2.ListReleasesRequest(product=product, page=types_pb2.Page(size=1000))
        answer = client.releases.ListReleases(request, timeout=PUBLISH_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (
            item.product,
            item.version,
            ",".join(item.channels),
            item.git_sha[:12],
            local_time(item, "released_at"),
            _where(item),
        )
        for item in answer.releases
    ]
    print_table(("PRODUCT", "VERSION", "CHANNELS", "COMMIT", "PUBLISHED", "PLATFORMS"), rows)


def _where(release: releases_pb2.Release) -> str:
    """Return the platforms of a release."""
    return ", ".join(f"{a.platform.os}-{a.platform.arch}-{a.platform.abi}" for a in release.artifacts)


def _header(artefact: Path, channels: list[str]) -> releases_pb2.PublishHeader:
    """Describe the artefact: its own description beside it, its length and hash from its bytes."""
    about = read_description(artefact)
    digest, length = hashlib.sha256(), 0
    for chunk in _chunks(artefact):
        digest.update(chunk)
        length += len(chunk)
    platform = Platform.parse(about["platform"])
    return releases_pb2.PublishHeader(
        product=about["product"],
        version=about["version"],
        channels=channels,
        platform=types_pb2.Platform(os=platform.os, arch=platform.arch, abi=platform.abi),
        git_sha=about["git_sha"],
        sha256=digest.digest(),
        length=length,
        entry_point=about["entry_point"],
    )


def _parts(header: releases_pb2.PublishHeader, artefact: Path) -> Iterator[releases_pb2.PublishReleaseRequest]:
    """Yield the messages of the upload."""
    yield releases_pb2.PublishReleaseRequest(header=header)
    for chunk in _chunks(artefact):
        yield releases_pb2.PublishReleaseRequest(chunk=chunk)


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes.

    Raises:
        RequestError: the file can't be read (caller's fault).
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        message = f"artefact: {plain(str(path))} can't be read: {error.strerror}"
        raise RequestError(
            message, code=Code.INVALID_ARGUMENT, remedy="name the file that `release build` made"
        ) from error
