"""``fleetroll release show``, ``notes`` and ``list``: a release as people read it, and the words that explain it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import Annotated

import typer

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import types_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import local_time
from fleetroll_cli.output import plain, print_json, print_table, say
from fleetroll_cli.parse import said
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

MAX_NOTES_BYTES = 80_000
"""20,000 characters of four bytes each, as the server takes them."""

ProductOption = Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")]
VersionOption = Annotated[str, typer.Option("--version", callback=said("version"), help="The release.")]


def list_releases(
    context: typer.Context,
    product: Annotated[str, typer.Option("--product", help="The product.")] = "",
    json: JsonOption = False,
) -> None:
    """List releases, newest version first, withdrawn ones among them."""
    with connected(context) as client:
        request = pb.ListReleasesRequest(product=product, page=types_pb2.Page(size=1000))
        answer = client.releases.ListReleases(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (
            item.product,
            item.version,
            state_of(item),
            ",".join(item.channels),
            item.git_sha[:12],
            local_time(item, "released_at"),
            _where(item),
        )
        for item in answer.releases
    ]
    print_table(("PRODUCT", "VERSION", "STATE", "CHANNELS", "COMMIT", "PUBLISHED", "PLATFORMS"), rows)


def show(context: typer.Context, *, product: ProductOption, version: VersionOption, json: JsonOption = False) -> None:
    """Show one release: its state, its artefacts with their hashes, who needs it, its notes."""
    with connected(context) as client:
        request = pb.GetReleaseRequest(product=product, version=version)
        answer = client.releases.GetRelease(request, timeout=CALL_SECONDS)
        needed = client.releases.ListInUse(pb.ListInUseRequest(product=product), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    release = answer.release
    say(f"{release.product} {release.version}  {state_of(release)}")
    facts = (
        ("reason", release.state_reason),
        ("channels", ", ".join(release.channels)),
        ("commit", release.git_sha),
        ("published", f"{local_time(release, 'released_at')} by {release.published.actor.id}"),
        ("updates", release.supported_from or "every version"),
        ("migrations", "required" if release.migrations_required else ""),
        ("breaking", release.breaking_changes),
        ("in use", next((_needs(one) for one in needed.releases if one.version == release.version), "by no host")),
    )
    for name, value in facts:
        if value:
            say(f"{name + ':':<12} {value}")
    rows = [
        (f"{one.platform.os}-{one.platform.arch}-{one.platform.abi}", str(one.length), one.sha256.hex())
        for one in release.artifacts
    ]
    print_table(("PLATFORM", "BYTES", "SHA-256"), rows)
    for line in release.notes.splitlines():
        say(line)


def notes(
    context: typer.Context,
    *,
    product: ProductOption,
    version: VersionOption,
    text: Annotated[str | None, typer.Option("--text", help="The notes in Markdown; empty takes them away.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="File with the notes.")] = None,
    json: JsonOption = False,
) -> None:
    """Replace the notes of a release; they are for people and not signed."""
    if (text is None) is (file is None):
        message = "notes: name either --text or --file"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name one of them", field="notes")
    request = pb.SetReleaseNotesRequest(
        product=product, version=version, notes=text or "" if file is None else _read(file)
    )
    with connected(context) as client:
        answer = client.releases.SetReleaseNotes(request, timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    say(f"{answer.release.product} {answer.release.version}: {len(answer.release.notes)} characters of notes")


def state_of(release: pb.Release) -> str:
    """Return the state of a release in one word; one that only a newer server knows by its number."""
    if release.state not in pb.ReleaseState.values():
        return f"state {release.state}"
    return pb.ReleaseState.Name(release.state).removeprefix("RELEASE_STATE_").lower()


def _needs(one: pb.InUse) -> str:
    """Say who needs a release."""
    counted = ((one.running, "run it"), (one.previous, "would go back to it"), (one.wanted, "are meant to run it"))
    words = [f"{number} {what}" for number, what in counted if number]
    return ", ".join([*words, "hosts have to pass it"] if one.intermediate else words)


def _where(release: pb.Release) -> str:
    """Return the platforms of a release."""
    return ", ".join(f"{a.platform.os}-{a.platform.arch}-{a.platform.abi}" for a in release.artifacts)


def _read(path: Path) -> str:
    """Return the file's text.

    Raises:
        RequestError: it can't be read, or is no text (caller's fault).
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_NOTES_BYTES + 1).decode()
    except (OSError, UnicodeError) as error:
        message = f"notes: {plain(str(path))} can't be read as text"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="name a file of text", field="notes") from error
