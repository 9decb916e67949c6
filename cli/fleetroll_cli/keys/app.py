"""The commands of ``fleetroll keys``."""

from __future__ import annotations

import json as json_format
from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import Annotated

import typer

from fleetroll.v1 import keys_pb2
from fleetroll_cli.anchors import certificates_in
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.keys import anchoring, ceremony, rotating, status
from fleetroll_cli.keys import backup as backups
from fleetroll_cli.keys.desk import Desk, Order
from fleetroll_cli.keys.holding import Ring
from fleetroll_cli.keys.options import (
    DEFAULT_MEMORY_MIB,
    DryRunOption,
    KeyOption,
    MemoryOption,
    OutOption,
    PassphraseOption,
    ReasonOption,
    RootOption,
    ServerKeysOption,
    ThresholdOption,
    YesOption,
    counts,
    memory,
)
from fleetroll_cli.keys.ring import Passphrases
from fleetroll_cli.output import print_json, say
from fleetroll_publishing.artefact.agent import PRODUCT

app = typer.Typer(no_args_is_help=True)

RolesArgument = Annotated[
    list[str], typer.Argument(metavar="ROLE...", help="root, targets, products/NAME, snapshot, timestamp.")
]


@app.command()
def init(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to fill: new, or empty.")],
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="A product beside the agent, whose keys are made in any case; may be repeated."),
    ] = None,
    threshold_product: Annotated[
        list[str] | None,
        typer.Option("--threshold-product", metavar="P=N/M", help="Product P has M keys, of which N sign."),
    ] = None,
    passphrase_file: PassphraseOption = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file", help="Write the server's one-time secret there, a new file, instead of showing it."
        ),
    ] = None,
    memory_mib: MemoryOption = DEFAULT_MEMORY_MIB,
    json: JsonOption = False,
) -> None:
    """Make every key of a new repository, away from any server, each in a file with a passphrase of its own."""
    products = tuple(dict.fromkeys([PRODUCT, *(product or [])]))
    wish = ceremony.Ceremony(out, products, counts(threshold_product, "threshold-product"), secret_file)
    made = ceremony.hold(wish, Passphrases.of(passphrase_file, memory(memory_mib)))
    if json:
        shown = {} if secret_file is not None else {"secret": made.secret}
        document = {"keys": [str(path) for path in made.keys], "root_sha256": made.root_sha256, **shown}
        say(json_format.dumps(document, sort_keys=True))
        return
    say(f"root's SHA-256: {made.root_sha256}")
    for path in made.keys:
        say(f"key    {path}")
    say("Keep root-1, root-2 and root-3 in three places, none of them on a network. Two of them sign.")
    say("Keep targets where root is needed, and each product's keys where its releases are published.")
    say(f"Carry {out / ceremony.FOR_SERVER} to the server: fleetroll-server init --trust DIR")
    if secret_file is None:
        say(f"It asks for this secret, which is shown once: {made.secret}")
    else:
        say(f"The secret that it asks for is in {secret_file}: carry it apart, and delete both after use.")


@app.command()
def rotate(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    roles: RolesArgument,
    *,
    key: KeyOption = None,
    out: OutOption = None,
    threshold: ThresholdOption = None,
    passphrase_file: PassphraseOption = None,
    memory_mib: MemoryOption = DEFAULT_MEMORY_MIB,
    server_keys: ServerKeysOption = False,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Exchange all keys of roles. Root's keys name those of targets, snapshot and timestamp; targets' the products'."""
    ring = Ring.of(key, out, Passphrases.of(passphrase_file, memory(memory_mib)), server_keys=server_keys)
    with connected(context) as client:
        rotating.rotate_roles(client, roles, counts(threshold), ring, Order(reason, dry_run, yes, root_sha256))


@app.command()
def revoke(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="KEYID|ROLE", help="A key by its id's beginning, or all of a role.")],
    *,
    key: KeyOption = None,
    out: OutOption = None,
    passphrase_file: PassphraseOption = None,
    memory_mib: MemoryOption = DEFAULT_MEMORY_MIB,
    server_keys: ServerKeysOption = False,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Take a stolen or lost key out; a new one takes its place."""
    ring = Ring.of(key, out, Passphrases.of(passphrase_file, memory(memory_mib)), server_keys=server_keys)
    with connected(context) as client:
        rotating.revoke_one(client, what, ring, Order(reason, dry_run, yes, root_sha256))


@app.command()
def renew(
    context: typer.Context,
    roles: Annotated[
        list[str] | None, typer.Argument(metavar="ROLE...", help="Default: all whose keys are given.")
    ] = None,
    *,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Sign roles again as they are, for another year."""
    ring = Ring.of(key, None, Passphrases.of(passphrase_file))
    with connected(context) as client:
        rotating.renew_roles(client, roles or [], ring, Order(reason, dry_run, yes, root_sha256))


@app.command("to-offline")
def to_offline(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    key: KeyOption = None,
    out: OutOption = None,
    threshold: ThresholdOption = None,
    passphrase_file: PassphraseOption = None,
    memory_mib: MemoryOption = DEFAULT_MEMORY_MIB,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Take targets and products out of the server's hands: new keys, made here; the server deletes its own."""
    ring = Ring.of(key, out, Passphrases.of(passphrase_file, memory(memory_mib)))
    with connected(context) as client:
        rotating.go_offline(client, counts(threshold), ring, Order(reason, dry_run, yes, root_sha256))


@app.command("add-product")
def add_product(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    product: Annotated[str, typer.Argument(help="Small letters, digits and dashes, a letter first, at most 63.")],
    *,
    key: KeyOption = None,
    out: OutOption = None,
    threshold: ThresholdOption = None,
    passphrase_file: PassphraseOption = None,
    memory_mib: MemoryOption = DEFAULT_MEMORY_MIB,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Let releases of one more product be published, signed by a key that is made here. Targets' key signs it."""
    ring = Ring.of(key, out, Passphrases.of(passphrase_file, memory(memory_mib)))
    with connected(context) as client:
        rotating.add_product(client, product, counts(threshold), ring, Order(reason, dry_run, yes, root_sha256))


@app.command("anchors")
def sign_anchors(  # noqa: PLR0913 (one parameter per option)
    context: typer.Context,
    *,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="host:port, in the order to try; default: as it is.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option("--trust", help="current, next or old: a CA of the server, as `anchors show` calls it."),
    ] = None,
    ca: Annotated[
        list[Path] | None, typer.Option("--ca-file", help="File with another CA to trust; may be repeated.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the CAs do not lead to this server; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
    root_sha256: RootOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Sign where hosts find their servers and whom they trust there, with targets' key."""
    ring = Ring.of(key, None, Passphrases.of(passphrase_file))
    wish = anchoring.Wish(address or (), trust or (), certificates_in(ca or []))
    with connected(context) as client:
        anchoring.sign(client, wish, ring, Order(reason, dry_run, yes, root_sha256, force))


@app.command("status")
def show_status(
    context: typer.Context,
    *,
    files: Annotated[
        Path | None, typer.Option("--files", help="Read signed files in this folder instead of asking a server.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show who signs what, until when, and which keys should be exchanged."""
    if files is not None:
        status.show_files(files, as_json=json)
        return
    with connected(context) as client:
        answer = client.keys.GetKeyStatus(keys_pb2.GetKeyStatusRequest(), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    status.show(answer)


@app.command("backup")
def back_up(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", help="The file to make; never overwritten.")],
    keys: Annotated[Path, typer.Option("--keys", help="The folder of key files.")],
    without_server: Annotated[
        bool, typer.Option("--without-server", help="Leave the signed files of the server out.")
    ] = False,
    root_sha256: RootOption = "",
    yes: YesOption = False,
) -> None:
    """Put all key files of a folder, locked as they are, and the newest signed files into one file."""
    metadata = {}
    if not without_server:
        with connected(context) as client:
            metadata = dict(Desk(client, [keys], Order(yes=yes, root_sha256=root_sha256)).files)
    names = backups.back_up(keys, metadata, out)
    say(f"{out}: {len(names)} files")
    say(f"bring them back with: tar -xf {out}")
