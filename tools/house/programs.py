"""Pages about programs: every command of the command line, every setting of the server and of a host."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import typer

from fleetroll_agent.settings.product import Kind
from fleetroll_agent.settings.product_table import SECTIONS
from fleetroll_cli.app import app
from fleetroll_server.settings import Settings
from fleetroll_tui import commands as console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.settings.table import Key, Section

ENVIRONMENT = "FLEETROLL_SERVER_"
# Options that the framework adds.
FRAMEWORKS = {"help", "install_completion", "show_completion"}


class Command(Protocol):
    """What is read of a command; the class behind it is private to the framework."""

    help: str | None
    params: list[Any]


def commands() -> Iterator[tuple[str, Command]]:
    """Yield every command with its full name, groups before what they hold, in the order of the help."""
    yield from _below("fleetroll", typer.main.get_command(app))


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {child}", below)


def command_lines() -> list[str]:
    """Return the page of the command line: what each command does, its arguments and options."""
    lines: list[str] = []
    for name, command in commands():
        lines += ["", f"## {name}", "", inspect.cleandoc(command.help or "")]
        rows = [_parameter(parameter) for parameter in command.params if parameter.name not in FRAMEWORKS]
        lines += ["", *rows] if rows else []
    return lines


def _parameter(parameter: Any) -> str:  # noqa: ANN401 (private to the framework too)
    said = parameter.help or ""
    if parameter.param_type_name == "argument":
        return f"- `{parameter.name.upper()}`: {said}"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    variable = f" Environment: `{parameter.envvar}`." if parameter.envvar else ""
    needed = " Required." if parameter.required else _default(parameter.default)
    return f"- {names}: {said}{needed}{variable}"


def _default(value: object) -> str:
    shown = isinstance(value, (int, float, str)) and not isinstance(value, bool) and value != ""
    return f" Default: `{value}`." if shown else ""


def setting_lines() -> list[str]:
    """Return the page of the server's settings: name, variable, default, bounds and meaning of each."""
    lines: list[str] = []
    for name, schema in Settings.model_json_schema()["properties"].items():
        field = Settings.model_fields[name]
        lines += ["", f"## {name}", "", field.description or ""]
        facts = [f"variable `{ENVIRONMENT}{name.upper()}`", f"default {_value(field.default)}", *_bounds(schema)]
        lines += ["", " · ".join(facts)]
    return lines


def _value(default: object) -> str:
    return "none" if default is None or default == () else f"`{default}`"


def _bounds(schema: dict[str, Any]) -> list[str]:
    words = {"minimum": "at least", "maximum": "at most", "maxItems": "entries at most"}
    return [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]


def agent_setting_lines() -> list[str]:
    """Return the page of a host's settings: each table with the type, unit, default and meaning of its keys."""
    lines: list[str] = []
    for section in SECTIONS:
        lines += ["", f"## [{section.name}]", "", section.about + _kinds(section.kinds, " For kind {}.")]
        lines += ["", "| key | type | unit | default | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(section, key) for key in section.keys]
    return lines


def _row(section: Section, key: Key) -> str:
    """Return one line of a table; what holds for the whole table is not said again."""
    kinds = "" if key.kinds >= section.kinds else _kinds(key.kinds, " For kind {}.")
    cells = (f"`{key.name}`", key.reader.words, key.unit, key.default or _absent(section, key), key.meaning + kinds)
    return f"| {' | '.join(cells)} |"


def _kinds(kinds: frozenset[Any], sentence: str) -> str:
    return "" if kinds >= set(Kind) else sentence.format(", ".join(f"`{kind.value}`" for kind in Kind if kind in kinds))


def _absent(section: Section, key: Key) -> str:
    """Return what a key is that is left out: the default of the value's field."""
    known = {field.name: field.default for values in section.values for field in fields(values)}
    default = known.get(f"{section.prefix}{key.name}")
    if default in (None, (), MISSING):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    shown = default.value if isinstance(default, Enum) else default
    quoted = isinstance(shown, str) and shown not in {"false", "true"}
    return f'`"{shown}"`' if quoted else f"`{shown:g}`" if isinstance(shown, float) else f"`{shown}`"


def key_lines() -> list[str]:
    """Return the console's keys, group by group, as its registry has them."""
    lines = ["", "Everywhere unless a screen is named. `?` in the console lists what works at the moment."]
    for group in console.GROUPS:
        lines += ["", f"## {group}", "", "| key | | what it does | where |", "| --- | --- | --- | --- |"]
        for command in (each for each in console.COMMANDS if each.group == group):
            where = "lists" if command.places == (console.LIST,) else ", ".join(command.places) or "everywhere"
            lines.append(f"| `{command.shown}` | {command.label} | {command.said} | {where} |")
    return lines
