"""Named contexts: the servers that a person steers, in one file, with one of them current.

    current = "production"

    [contexts.production]
    server = "fleet.example:8443"
    ca_file = "/etc/fleetroll/ca.pem"
    token_file = "~/.config/fleetroll/production.token"
    environment = "production"
    fleet = "default"

Paths are absolute, below ``~``, or from the file's own folder. Secrets do not stand in the file: it names files. It is
read here; :mod:`fleetroll_client.keeping` writes it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
import tomlkit.exceptions

from fleetroll_client.endpoint import check_address
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = "FLEETROLL_CONFIG"
MAX_CONFIG_BYTES = 1024 * 1024
MAX_NAME_CHARS = 64
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME_CHARS - 1}}}", re.ASCII)


class Environment(str, Enum):
    """What a server is for: a console shows it as a colour, so that nobody takes one for another."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"
    OTHER = "other"


@dataclass(frozen=True)
class Context:
    """One server as a person reaches it.

    Attributes:
        name: 1 to 64 letters, digits, ``.``, ``_`` or ``-``.
        server: ``host:port``.
        ca_file: the server's CA certificate.
        token_file: the API token alone; None for a context that names none.
        environment: what the server is for.
        fleet: the fleet that is meant where a command that makes something names none; empty for the server's default.
    """

    name: str
    server: str
    ca_file: Path
    token_file: Path | None = None
    environment: Environment = Environment.OTHER
    fleet: str = ""


@dataclass(frozen=True)
class Contexts:
    """What the file says.

    Attributes:
        path: the file; it need not be there.
        current: name of the context that is meant without a name, which may be there no longer; empty for none.
        by_name: every context, in the file's order.
    """

    path: Path
    current: str = ""
    by_name: dict[str, Context] = field(default_factory=dict)

    def named(self, name: str) -> Context:
        """Return a context.

        Raises:
            RequestError: there is none of that name (caller's fault).
        """
        if name in self.by_name:
            return self.by_name[name]
        known = ", ".join(self.by_name) or "there is none yet"
        raise refused("context", f"there is no {name!r} in {self.path}", f"name one of them: {known}")


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the file is: ``$FLEETROLL_CONFIG``, else in ``$XDG_CONFIG_HOME``, else in ``~/.config``.

    Raises:
        RequestError: there is no home folder to look in (caller's fault).
    """
    if environ.get(CONFIG):
        return Path(environ[CONFIG])
    base = environ.get("XDG_CONFIG_HOME", "")
    if Path(base).is_absolute():  # the specification: a relative one is to be ignored
        return Path(base, "fleetroll", "config.toml")
    return _expanded("~/.config/fleetroll/config.toml", "config", environ)


def load(path: Path | None = None) -> Contexts:
    """Read the file; one that is not there holds no context.

    Raises:
        RequestError: it can't be read, or a value in it is wrong: named with field, value and remedy (caller's fault).
    """
    path = path or config_path()
    return contexts_in(path, read_document(path))


def read_document(path: Path) -> Any:  # noqa: ANN401 (tomlkit's own, which behaves like nested dicts)
    """Return the file's document."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise refused("config", f"{path} can't be read: {error.strerror}", "make it readable to you alone") from error
    if len(content) > MAX_CONFIG_BYTES:
        raise refused("config", f"{path} has more than {MAX_CONFIG_BYTES} bytes", "name the right file by " + CONFIG)
    try:
        return tomlkit.parse(content.decode())
    except (ValueError, tomlkit.exceptions.TOMLKitError) as error:
        raise refused("config", f"{path} is no TOML: {error}", "correct it, or move it away") from error


def contexts_in(path: Path, document: Mapping[str, Any]) -> Contexts:
    """Return what a document says."""
    tables = document.get("contexts", {})
    if not isinstance(tables, dict):
        raise refused("contexts", f"it is no table in {path}", "write [contexts.NAME]")
    current = _text(document, "current", "", path)
    return Contexts(path, current, {str(name): _context(str(name), table, path) for name, table in tables.items()})


def _context(name: str, table: object, path: Path) -> Context:
    """Read one table."""
    check_name(name)
    where = f"contexts.{name}"
    if not isinstance(table, dict):
        raise refused(where, f"it is no table in {path}", f"write [{where}]")
    server, ca_file = _text(table, "server", where, path), _text(table, "ca_file", where, path)
    for key, value in (("server", server), ("ca_file", ca_file)):
        if not value:
            raise refused(f"{where}.{key}", f"it is not given in {path}", f"add it, or remove the context {name}")
    try:
        check_address(server)
    except RequestError as error:
        raise refused(f"{where}.server", f"{server!r} is not host:port in {path}", error.remedy) from error
    environment = _text(table, "environment", where, path) or Environment.OTHER.value
    token_file = _text(table, "token_file", where, path)
    return Context(
        name=name,
        server=server,
        ca_file=path.parent / _expanded(ca_file, f"{where}.ca_file"),
        token_file=path.parent / _expanded(token_file, f"{where}.token_file") if token_file else None,
        environment=read_environment(environment, f"{where}.environment"),
        fleet=_text(table, "fleet", where, path),
    )


def read_environment(text: str, where: str = "environment") -> Environment:
    """Read the name of an environment.

    Raises:
        RequestError: it is none (caller's fault).
    """
    known = [each.value for each in Environment]
    if text not in known:
        raise refused(where, f"{text!r} is none", f"name one of {', '.join(known)}")
    return Environment(text)


def _text(table: Mapping[str, Any], key: str, where: str, path: Path) -> str:
    """Return a text of a table; empty where it is absent."""
    value = table.get(key, "")
    if not isinstance(value, str):
        raise refused(f"{where}.{key}".lstrip("."), f"{value!r} is no text in {path}", "write it in quotes")
    return str(value)


def _expanded(text: str, where: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return a path with the home folder in the place of ``~``."""
    if text.startswith("~/") and environ.get("HOME"):
        return Path(environ["HOME"], text[2:])
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise refused(where, f"{text!r} has no home folder", "write an absolute path") from error


def check_name(name: str) -> None:
    """Refuse what can't be a name."""
    if not _NAME.fullmatch(name):
        remedy = f"1 to {MAX_NAME_CHARS} letters, digits, '.', '_' or '-', and a letter or digit first"
        raise refused("name", f"{name[: MAX_NAME_CHARS + 1]!r} can't be the name of a context", remedy)


def refused(where: str, what: str, remedy: str) -> RequestError:
    """Return the error of a field."""
    return RequestError(f"{where}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=where)
