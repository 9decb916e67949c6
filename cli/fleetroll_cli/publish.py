"""``fleetroll release publish``: artefacts of several platforms and products in one go, signed here or there."""

from __future__ import annotations

import hashlib
import json as jsons
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll.v1 import releases_pb2 as pb
from fleetroll.v1 import types_pb2
from fleetroll_cli.building import read_description
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.keyring import KeyOption, Keyring, KeysDirOption, PassphraseOption, keyring
from fleetroll_cli.output import plain, print_json, say
from fleetroll_cli.parse import read_supported_from
from fleetroll_cli.progress import uploads
from fleetroll_cli.retiring import proposal, retire_old
from fleetroll_cli.signing import Desk, Prepared, Said
from fleetroll_cli.staging import PUBLISH_SECONDS, stage
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version
from fleetroll_common.wire.channel import CHUNK_BYTES
from fleetroll_common.wire.handshake import PROTOCOL
from fleetroll_publishing.artefact.describing import Words, check_words, describe_artefact
from fleetroll_publishing.artefact.inspect import inspect_artefact
from fleetroll_publishing.demands import TargetFile
from fleetroll_publishing.verbs import Change, Publish, changed_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fleetroll_cli.progress import Advance
    from fleetroll_client import AdminClient


@dataclass(frozen=True, slots=True)
class Parcel:
    """One artefact to publish.

    Attributes:
        path: of the file.
        words: what is signed as it is said.
        sha256: of the file, in hex.
        length: of the file, in bytes.
    """

    path: Path
    words: Words
    sha256: str
    length: int


def publish(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    artefact: Annotated[list[Path], typer.Argument(help="The artefacts that `release build` made, one or more.")],
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Channel; may be repeated.")] = None,
    notes: Annotated[str, typer.Option("--notes", help="Notes in Markdown.")] = "",
    breaking_changes: Annotated[str, typer.Option("--breaking-changes", help="What breaks, in words.")] = "",
    migrations_required: Annotated[
        bool, typer.Option("--migrations-required", help="The product's data has to be migrated.")
    ] = False,
    supported_from: Annotated[
        str, typer.Option("--supported-from", help="The lowest version that is updated to this one, like >=1.0.0.")
    ] = "",
    retire: Annotated[
        bool, typer.Option("--retire-old", help="Retire releases beyond the newest 20 that nothing needs.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", envvar="FLEETROLL_YES", help="Retire what is listed as old without asking.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
    key: KeyOption = None,
    keys_dir: KeysDirOption = None,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Upload artefacts and have them listed: all in one step where they are signed here, else one after the other."""
    said = _Said(tuple(channel or ["stable"]), breaking_changes, migrations_required, supported_from)
    parcels = [_parcel(path, said) for path in dict.fromkeys(artefact)]
    keys = keyring(key, keys_dir, passphrase_file)
    with connected(context) as client:
        if keys is not None:
            wish = _Wish(notes, retire=retire, yes=yes, dry_run=dry_run, json=json)
            _publish_here(client, keys, parcels, wish)
        else:
            _publish_there(client, parcels, notes, retire=retire, dry_run=dry_run, json=json)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the options say about all artefacts."""

    channels: tuple[str, ...]
    breaking_changes: str
    migrations_required: bool
    supported_from: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the options say about how it is done."""

    notes: str
    retire: bool
    yes: bool
    dry_run: bool
    json: bool


def _publish_here(client: AdminClient, keys: Keyring, parcels: Sequence[Parcel], wish: _Wish) -> None:
    """Sign on this machine: first everything is checked, then the bytes go, then the lists, in one step.

    The server is asked about what is said of each artefact; nothing that is signed goes there before the last step.
    """
    desk, now = Desk(client, keys), datetime.now(UTC)
    new = [parcel for parcel in parcels if not _is_listed(desk, parcel)]
    changes: dict[str, list[Change]] = {}
    for product in dict.fromkeys(parcel.words.product for parcel in new):
        additions = {}
        for parcel in (one for one in new if one.words.product == product):
            inspected = inspect_artefact(parcel.path, parcel.words.entry)
            custom = describe_artefact(parcel.words, inspected, PROTOCOL, now)
            built = inspected.artefact
            additions[parcel.words.path] = TargetFile(built.artefact_bytes, built.artefact_sha256, custom.to_json())
        changes[product] = [Publish(additions)]
        role = changed_role(product, desk.role(product), changes[product])
        changes[product] += retire_old(client, product, role, retire=wish.retire, ask=not (wish.yes or wish.dry_run))
    for parcel in parcels:
        _check_there(client, parcel, signed_elsewhere=True)
    prepared = desk.prepare(changes) if new else Prepared({}, {})
    if not wish.dry_run:
        with uploads() as begin:
            for parcel in parcels:
                path, length = parcel.words.path, parcel.length
                stage(client, path, parcel.sha256, length, _chunks(parcel.path), begin(path, length))
        if new:
            desk.commit(prepared, Said(notes=_notes(new, wish.notes)))
    if wish.json:
        _print(parcels, prepared.versions, dry_run=wish.dry_run)
        return
    _tell(parcels, dry_run=wish.dry_run)
    for product, version in sorted(prepared.versions.items()):
        say(f"{product}: role version {version}, {'would be ' if wish.dry_run else ''}signed here")


def _is_listed(desk: Desk, parcel: Parcel) -> bool:
    """Tell whether these very bytes are listed: a server that was restored without them gets them back, unsigned."""
    listed = desk.role(parcel.words.product).targets.get(parcel.words.path)
    return listed is not None and (listed.length, listed.hashes.get("sha256")) == (parcel.length, parcel.sha256)


def _check_there(client: AdminClient, parcel: Parcel, *, signed_elsewhere: bool) -> None:
    """Let the server refuse what it could not list whatever the bytes are; it is sent the header alone."""
    header = _header(parcel, "")
    header.check_only, header.signed_elsewhere = True, signed_elsewhere
    client.releases.PublishRelease(iter([pb.PublishReleaseRequest(header=header)]), timeout=CALL_SECONDS)


def _notes(parcels: Sequence[Parcel], notes: str) -> list[pb.ReleaseNotes]:
    """Return the notes of every release that is new."""
    versions = {(parcel.words.product, str(parcel.words.version)) for parcel in parcels}
    return [pb.ReleaseNotes(product=one, version=version, notes=notes) for one, version in sorted(versions) if notes]


def _publish_there(
    client: AdminClient, parcels: Sequence[Parcel], notes: str, *, retire: bool, dry_run: bool, json: bool
) -> None:
    """Let the server sign, one artefact after the other: what is published stays so when a later one is refused."""
    if dry_run:
        for parcel in parcels:
            inspected = inspect_artefact(parcel.path, parcel.words.entry)
            describe_artefact(parcel.words, inspected, PROTOCOL, datetime.now(UTC))
            _check_there(client, parcel, signed_elsewhere=False)
        _print(parcels, {}, dry_run=True) if json else _tell(parcels, dry_run=True)
        return
    answers = []
    with uploads() as begin:
        for parcel in parcels:
            header = _header(parcel, notes)
            messages = _parts(header, parcel.path, begin(parcel.words.path, parcel.length))
            answers.append(client.releases.PublishRelease(messages, timeout=PUBLISH_SECONDS))
    if json and len(answers) == 1:
        print_json(answers[0])
    elif json:
        _print(parcels, {answer.release.product: answer.role_version for answer in answers}, dry_run=False)
    else:
        for answer in answers:
            channels = ", ".join(answer.release.channels)
            what = f"published {answer.release.product} {answer.release.version} to {channels}"
            say(f"{what}, role version {answer.role_version}")
    for product in dict.fromkeys(parcel.words.product for parcel in parcels):
        proposal(client, product, retire=retire)


def publish_one(client: AdminClient, artefact: Path, channels: tuple[str, ...]) -> pb.PublishReleaseResponse:
    """Let the server sign one artefact that `release build` made, without a word to anybody.

    Raises:
        RequestError: it is not described, or the server refuses (caller's fault).
    """
    parcel = _parcel(artefact, _Said(channels, "", migrations_required=False, supported_from=""))
    messages = _parts(_header(parcel, ""), artefact, lambda _more: None)
    return client.releases.PublishRelease(messages, timeout=PUBLISH_SECONDS)


def _parcel(path: Path, said: _Said) -> Parcel:
    """Describe an artefact: its own description beside it, its length and hash from its bytes."""
    about = read_description(path)
    digest, length = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        length += len(chunk)
    if not length:
        message = f"artefact: {plain(str(path))} is empty"
        raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy="build it with release build", field="artefact")
    words = Words(
        product=about["product"],
        version=Version.parse(about["version"]),
        channels=tuple(sorted(set(said.channels))),
        platform=Platform.parse(about["platform"]),
        git_sha=about["git_sha"],
        entry_point=about["entry_point"],
        migrations_required=said.migrations_required,
        breaking_changes=said.breaking_changes,
        supported_from=read_supported_from(said.supported_from),
    )
    check_words(words, dirty=True)  # whether a dirty build is taken is the server's to say
    return Parcel(path, words, digest.hexdigest(), length)


def _header(parcel: Parcel, notes: str) -> pb.PublishHeader:
    """Return what the server is told; it recomputes every number."""
    words = parcel.words
    return pb.PublishHeader(
        product=words.product,
        version=str(words.version),
        channels=words.channels,
        platform=types_pb2.Platform(os=words.platform.os, arch=words.platform.arch, abi=words.platform.abi),
        git_sha=words.git_sha,
        sha256=bytes.fromhex(parcel.sha256),
        length=parcel.length,
        migrations_required=words.migrations_required,
        breaking_changes=words.breaking_changes,
        notes=notes,
        supported_from="" if words.supported_from is None else f">={words.supported_from}",
        entry_point=words.entry_point,
    )


def _parts(header: pb.PublishHeader, artefact: Path, advance: Advance) -> Iterator[pb.PublishReleaseRequest]:
    """Yield the messages of the upload."""
    yield pb.PublishReleaseRequest(header=header)
    for chunk in _chunks(artefact):
        yield pb.PublishReleaseRequest(chunk=chunk)
        advance(len(chunk))


def _tell(parcels: Sequence[Parcel], *, dry_run: bool) -> None:
    """Say what was published, or would be."""
    for parcel in parcels:
        channels = ", ".join(parcel.words.channels)
        what = "would publish" if dry_run else "published"
        say(f"{what} {parcel.words.product} {parcel.words.version} for {parcel.words.platform} to {channels}")


def _print(parcels: Sequence[Parcel], versions: dict[str, int], *, dry_run: bool) -> None:
    """Print one JSON document."""
    paths = [parcel.words.path for parcel in parcels]
    say(jsons.dumps({"dry_run": dry_run, "published": paths, "role_versions": versions}, sort_keys=True))


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
