"""The key files that a publisher brings, and what is asked for to open them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_cli.output import plain
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keyfiles import files_of, keys_in
from fleetroll_publishing.keys import Passphrase, load_key
from fleetroll_publishing.publisher import Publisher
from fleetroll_publishing.signers import NaClSigner

if TYPE_CHECKING:
    from fleetroll_publishing.roles import Repository

KeyOption = Annotated[
    list[Path] | None,
    typer.Option("--key", help="File with a key of the product; sign here, not on the server. May be repeated."),
]
KeysDirOption = Annotated[
    Path | None, typer.Option("--keys-dir", help="Folder of key files: those of the product are taken; sign here.")
]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of the keys; without, it is asked.")
]


@dataclass(frozen=True, slots=True)
class Keyring:
    """Key files of a publisher, unopened.

    Attributes:
        files: at least one.
        folder: where the publisher's record stands.
        passphrase_file: holds the passphrase of all of them; None = each is asked for.
    """

    files: tuple[Path, ...]
    folder: Path
    passphrase_file: Path | None = None

    @property
    def publisher(self) -> Publisher:
        """Return what is remembered beside the keys."""
        return Publisher(self.folder)

    def signers(self, repository: Repository, product: str) -> list[NaClSigner]:
        """Return as many signers as the role of ``product`` needs.

        Raises:
            RequestError: NOT_FOUND: no such product; NOT_ALLOWED: too few of its keys are here; a file is not opened by
                the passphrase (caller's fault).
        """
        named = repository.delegation(product)
        keys = (repository.targets.delegations.keys if repository.targets.delegations else {}) or {}
        publics = {str(keys[keyid].keyval.get("public")) for keyid in named.keyids}
        found = files_of(publics, self.files)[: named.threshold]
        if len(found) < named.threshold:
            message = f"key: {len(found)} of the keys of {role_name(product)} are here, {named.threshold} are needed"
            raise RequestError(
                message, code=Code.NOT_ALLOWED, remedy="name their files with --key or --keys-dir", field="key"
            )
        return [NaClSigner(load_key(path, self._passphrase(path))) for path in found]

    def _passphrase(self, path: Path) -> Passphrase:
        """Return what opens a file."""
        if self.passphrase_file is None:
            return Passphrase(typer.prompt(f"passphrase of {plain(path.name)}", hide_input=True, err=True))
        try:
            return Passphrase(self.passphrase_file.read_text("utf-8").rstrip("\r\n"))
        except OSError as error:
            message = f"passphrase_file: {plain(str(self.passphrase_file))} can't be read: {error.strerror}"
            raise RequestError(
                message, code=Code.INVALID_ARGUMENT, remedy="name a file that is there", field="passphrase_file"
            ) from error


def keyring(key: list[Path] | None, keys_dir: Path | None, passphrase_file: Path | None) -> Keyring | None:
    """Return the keys that the options name; None = the server signs.

    Raises:
        RequestError: no key where one is named, or a passphrase for none (caller's fault).
    """
    files = tuple(key or ()) + (keys_in(keys_dir) if keys_dir is not None else ())
    if not files:
        if passphrase_file is not None:
            message = "passphrase_file: no key is named that it could open"
            remedy = "name one with --key or --keys-dir"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="passphrase_file")
        return None
    return Keyring(files, keys_dir or files[0].resolve().parent, passphrase_file)
