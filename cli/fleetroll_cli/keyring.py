"""The key files that a publisher brings, and what is asked for to open them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleetroll_cli.keys.options import PASSPHRASE_VARIABLE, PassphraseOption
from fleetroll_cli.keys.ring import Passphrases
from fleetroll_common.trust.listing import role_name
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_publishing.keyfiles import files_of, keys_in
from fleetroll_publishing.keys import load_key
from fleetroll_publishing.publisher import Publisher
from fleetroll_publishing.signers import NaClSigner

if TYPE_CHECKING:
    from fleetroll_publishing.roles import Repository

__all__ = ["KeyOption", "Keyring", "KeysDirOption", "PassphraseOption", "keyring"]

KeyOption = Annotated[
    list[Path] | None,
    typer.Option("--key", help="File with a key of the product; sign here, not on the server. May be repeated."),
]
KeysDirOption = Annotated[
    Path | None, typer.Option("--keys-dir", help="Folder of key files: those of the product are taken; sign here.")
]


@dataclass(frozen=True, slots=True)
class Keyring:
    """Key files of a publisher, unopened.

    Attributes:
        files: at least one.
        folders: where a publisher's record or a pinned root may stand.
        passphrases: what opens them.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    passphrases: Passphrases = field(default_factory=Passphrases)

    @property
    def publisher(self) -> Publisher:
        """Return what is remembered beside the keys."""
        return Publisher(*self.folders)

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
        return [NaClSigner(load_key(path, self.passphrases.opening(path))) for path in found]


def keyring(key: list[Path] | None, keys_dir: Path | None, passphrase_file: list[str] | None) -> Keyring | None:
    """Return the keys that the options name; None = the server signs.

    Raises:
        RequestError: no key where one is named, or a passphrase for none (caller's fault).
    """
    files = tuple(key or ()) + (keys_in(keys_dir) if keys_dir is not None else ())
    if not files:
        if passphrase_file and not os.environ.get(PASSPHRASE_VARIABLE):
            message = "passphrase_file: no key is named that it could open"
            remedy = "name one with --key or --keys-dir"
            raise RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="passphrase_file")
        return None
    named = () if keys_dir is None else (keys_dir.resolve(),)
    folders = dict.fromkeys([*named, *(path.resolve().parent for path in files)])
    return Keyring(files, tuple(folders), Passphrases.of(passphrase_file))
