"""What the commands about keys take, spelled the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

PASSPHRASE_VARIABLE = "FLEETROLL_PASSPHRASE_FILE"  # noqa: S105 (the name of the variable)

KeyOption = Annotated[list[Path] | None, typer.Option("--key", help="A key file that signs; may be repeated.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for new key files; default: that of the first --key.")
]
PassphraseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--passphrase-file",
        metavar="NAME=FILE",
        envvar=PASSPHRASE_VARIABLE,
        help="FILE's first line opens or protects NAME.key, and NAME-1.key and so on; without NAME= all of them. What "
        "no file is named for is asked. May be repeated.",
    ),
]
MemoryOption = Annotated[
    int,
    typer.Option(
        "--memory-mib",
        envvar="FLEETROLL_MEMORY_MIB",
        help="Memory that one try of a new passphrase costs, 64 to 1024 MiB; opening the file takes it too.",
    ),
]
ThresholdOption = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="ROLE=N/M",
        help="New keys for ROLE: M of them, N sign; default: as many as there are. May be repeated.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check all of it on this machine; send nothing signed, keep nothing.")
]
ServerKeysOption = Annotated[
    bool,
    typer.Option(
        "--server-keys",
        help="This server is a managed one: it holds the keys of targets and products, and makes the new ones.",
    ),
]
RootOption = Annotated[
    str,
    typer.Option(
        "--root-sha256",
        metavar="HEX",
        help="SHA-256 of the first root, which hosts pin; without it and where nothing beside the keys says so, it is "
        "shown and asked.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", envvar="FLEETROLL_YES", help="Sign what is shown without asking.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in words, for the log.")]

DEFAULT_MEMORY_MIB = 256
LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 64, 1024


def counts(pairs: list[str] | None, field: str = "threshold") -> dict[str, tuple[int, int]]:
    """Read ``ROLE=N/M``; ``ROLE=N`` means N of N.

    Raises:
        RequestError: INVALID_ARGUMENT (caller's fault).
    """
    found: dict[str, tuple[int, int]] = {}
    for pair in pairs or ():
        name, _, numbers = pair.partition("=")
        needed, slash, keys = numbers.partition("/")
        if not name or name in found or not _is_count(needed) or (slash and not _is_count(keys)):
            raise invalid(field, f"{pair[:80]!r} is not like shop=2/3", "write name, signatures and keys")
        found[name] = (int(needed), int(keys or needed))
    return found


def memory(mib: int) -> int:
    """Return bytes.

    Raises:
        RequestError: INVALID_ARGUMENT: out of bounds (caller's fault).
    """
    if not LEAST_MEMORY_MIB <= mib <= MOST_MEMORY_MIB:
        what = f"{mib} is not between {LEAST_MEMORY_MIB} and {MOST_MEMORY_MIB}"
        raise invalid("memory-mib", what, "give a number between them")
    return mib * 1024 * 1024


def invalid(field: str, what: str, remedy: str) -> RequestError:
    """Return the caller's error."""
    return RequestError(f"{field}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=field)


def not_allowed(field: str, what: str, remedy: str) -> RequestError:
    """Return the refusal of what would give keys away."""
    return RequestError(f"{field}: {what}", code=Code.NOT_ALLOWED, remedy=remedy, field=field)


def _is_count(text: str) -> bool:
    """Tell whether ``text`` is a number of keys."""
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 32  # noqa: PLR2004 (what a role may have)
