"""``fleetroll release mirror`` and ``bundle``: the signed repository as plain files, or as one file to be carried."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_cli.context import JsonOption, connected
from fleetroll_cli.output import note, plain, say
from fleetroll_cli.parse import said
from fleetroll_cli.repository import ServerRepository
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import check_product
from fleetroll_common.values.version import Version
from fleetroll_publishing.carrying import BundleWish, MirrorWish, update_mirror, write_bundle

if TYPE_CHECKING:
    from fleetroll_common.trust import ListedTarget


def mirror(
    context: typer.Context,
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The mirror's folder; made where it is not there.")],
    product: Annotated[
        list[str] | None, typer.Option("--product", help="Artefacts of this product alone; may be repeated.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Artefacts in this channel alone; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a mirror of the signed repository, or bring it up to date: plain files for any web server or share."""
    wish = MirrorWish(_words("product", product), _words("channel", channel))
    with connected(context) as client:
        done = update_mirror(folder, ServerRepository(client), wish, SystemClock(), _tell)
    if json:
        _document(
            metadata=done.metadata,
            fetched=list(done.fetched),
            fetched_bytes=done.fetched_bytes,
            kept=done.kept,
            root_sha256=done.root_sha256,
        )
        return
    say(f"{len(done.fetched)} artefacts fetched ({done.fetched_bytes} bytes), {done.kept} were there")
    say(f"{done.metadata} files of metadata written, all verified from root {done.root_sha256}")


def bundle(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", help="The file to make; an existing one is replaced.")],
    product: Annotated[str | None, typer.Option("--product", callback=said("product"), help="The product.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", callback=said("version"), help="Its version; with --product.")
    ] = None,
    release: Annotated[
        list[str] | None, typer.Option("--release", help="PRODUCT=VERSION; may be repeated, and beside --product.")
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option("--platform", help="Artefacts for these hosts alone, like linux/x86_64; may be repeated."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write one file with the signed metadata and the artefacts of some releases, for hosts without a network."""
    releases = _releases(product, version, release or [])
    wish = BundleWish(releases, tuple(Platform.parse(text) for text in platform or ()))
    if not out.name or not out.parent.is_dir() or out.is_dir():
        text = f"out: {plain(str(out))} is no file's name in a folder that is there"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy="name the file to make", field="out")
    with connected(context) as client:
        built = write_bundle(out, ServerRepository(client), wish, SystemClock(), _tell)
    if json:
        _document(path=str(built.path), bytes=built.length, sha256=built.sha256, targets=list(built.targets))
        return
    say(str(built.path))
    say(f"{built.length} bytes, {len(built.targets)} artefacts, SHA-256 {built.sha256}")


def _releases(product: str | None, version: str | None, pairs: list[str]) -> tuple[tuple[str, Version], ...]:
    """Return the releases that were named.

    Raises:
        RequestError: none is, or one only by half (caller's fault).
    """
    if (product is None) != (version is None):
        text = "release: --product and --version go together"
        raise _invalid(text, "name both, or --release PRODUCT=VERSION")
    named = [(product, version)] if product is not None and version is not None else []
    for pair in pairs:
        name, equals, number = pair.partition("=")
        if not equals:
            text = f"release: {pair[:80]!r} is not PRODUCT=VERSION"
            raise _invalid(text, "write it like --release shop=1.4.0")
        named.append((name, number))
    if not named:
        text = "release: none is named"
        raise _invalid(text, "name one with --product and --version, or --release PRODUCT=VERSION")
    return tuple(dict.fromkeys((check_product(name), Version.parse(number)) for name, number in named))


def _words(field: str, given: list[str] | None) -> tuple[str, ...]:
    """Return what was given, each once; an empty word is refused."""
    check = said(field)
    return tuple(dict.fromkeys(str(check(word)) for word in given or ()))


def _tell(target: ListedTarget) -> None:
    """Say what is fetched next, beside the output."""
    note(f"fetching {target.path}, {target.length} bytes")


def _document(**fields: object) -> None:
    """Print one JSON document."""
    say(json.dumps(fields, sort_keys=True))


def _invalid(text: str, remedy: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, field="release")
