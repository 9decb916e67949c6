"""Changes the file of contexts: whole or not at all, one writer at a time.

What this version does not know is kept, and comments wherever the library can keep them.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

import tomlkit
import tomlkit.exceptions

from fleetroll_client.contexts import check_name, config_path, contexts_in, read_document, refused
from fleetroll_client.endpoint import check_address
from fleetroll_common.durable.files import write_durably

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleetroll_client.contexts import Context, Contexts


def put(context: Context, path: Path | None = None, *, replace: bool = False) -> Contexts:
    """Add a context; the first one becomes current.

    Raises:
        RequestError: the name can't be one or is taken, a value is wrong, or the file can't be read (caller's fault).
        OSError: the file can't be written.
    """
    check_name(context.name)
    check_address(context.server)
    values = {
        "server": context.server,
        "ca_file": str(context.ca_file),
        "token_file": str(context.token_file or ""),
        "environment": context.environment.value,
        "fleet": context.fleet,
    }

    def change(document: Any, before: Contexts) -> None:  # noqa: ANN401 (like nested dicts)
        if context.name in before.by_name and not replace:
            raise refused("name", f"{context.name!r} is taken", "remove it first, or give --replace")
        table = document.setdefault("contexts", {}).setdefault(context.name, {})
        for key, value in values.items():
            if value:
                table[key] = value
            else:
                table.pop(key, None)
        if not before.current:
            document["current"] = context.name

    return _changed(path, change)


def use(name: str, path: Path | None = None) -> Contexts:
    """Make a context the current one.

    Raises:
        RequestError: there is none of that name, or the file can't be read (caller's fault).
        OSError: the file can't be written.
    """

    def change(document: Any, before: Contexts) -> None:  # noqa: ANN401 (like nested dicts)
        document["current"] = before.named(name).name

    return _changed(path, change)


def remove(name: str, path: Path | None = None) -> Contexts:
    """Forget a context; the files that it names stay. When it was current, none is.

    Raises:
        RequestError: there is none of that name, or the file can't be read (caller's fault).
        OSError: the file can't be written.
    """

    def change(document: Any, before: Contexts) -> None:  # noqa: ANN401 (like nested dicts)
        before.named(name)
        del document["contexts"][name]
        if before.current == name:
            del document["current"]

    return _changed(path, change)


def _changed(path: Path | None, change: Callable[[Any, Contexts], None]) -> Contexts:
    """Change the file durably, one writer at a time, and return what it says then."""
    path = path or config_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = path.resolve()  # a link, as people who keep such files in a repository have, stays one
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        document = read_document(path)
        text = _rewritten(document, change, contexts_in(path, document))
        write_durably(target, text.encode(), 0o600)
        return contexts_in(path, read_document(path))
    finally:
        os.close(folder)


def _rewritten(document: Any, change: Callable[[Any, Contexts], None], before: Contexts) -> str:  # noqa: ANN401
    """Return the text of the changed document.

    The library keeps comments and order, but writes some forms (dotted keys, tables on one line) wrongly after a
    change: what it wrote is read again, and where it says something else, all values are written anew, without the
    comments.
    """
    plain = document.unwrap()
    change(plain, before)
    try:
        change(document, before)
        text = tomlkit.dumps(document)
        if tomlkit.parse(text).unwrap() == plain:
            return text
    except (ValueError, tomlkit.exceptions.TOMLKitError):
        pass
    return tomlkit.dumps(plain)
