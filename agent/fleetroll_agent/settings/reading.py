"""From the text of ``agent.toml`` to the settings: every fault is found, the first in the file is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_agent.settings import rules
from fleetroll_agent.settings.building import settings_of
from fleetroll_agent.settings.faults import SETTINGS_NAME, Fault, KeyPath, Unfit, first_error, refused, shown_value
from fleetroll_agent.settings.lines import locate
from fleetroll_agent.settings.product_table import MACHINE, PRODUCT, SECTIONS
from fleetroll_agent.settings.toml import MAX_TEXT_CHARS, load, read_quoted
from fleetroll_agent.settings.values import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fleetroll_agent.settings.readers import Reader
    from fleetroll_agent.settings.table import Section


def read_settings(state: Path) -> Settings:
    """Return the settings of the state folder ``state``.

    Raises:
        RequestError: as :func:`parse_settings`, or the file can't be read (the fault of whoever wrote it).
    """
    try:
        with (state / SETTINGS_NAME).open("rb") as file:
            text = file.read(4 * MAX_TEXT_CHARS + 1).decode("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise refused(
            0, f"the file can't be read: {error}", "write it as text in UTF-8, for the agent to read"
        ) from error
    return parse_settings(text)


def parse_settings(text: str) -> Settings:
    """Return the settings that ``text`` holds.

    Raises:
        RequestError: INVALID_ARGUMENT, naming file, line, key, value and remedy; of several faults the first.
    """
    document = load(text)
    found = _Found()
    read = found.document(document)
    if found.faults:
        raise first_error(found.faults, locate(text, read_quoted))
    return settings_of(read)


class _Found:
    """What was wrong so far."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return what could be read of a whole file, table by table."""
        read: dict[str, Any] = {}
        for name, value in document.items():
            if name in MACHINE:
                read[name] = self._section(MACHINE[name], (name,), value)
            elif name == "products":
                read[name] = self._products(value)
            else:
                self._add((name,), unknown(name, (*MACHINE, "products"), ()), value)
        self.faults += rules.of_waits(read.get("reconnect", {}))
        products = document.get("products")
        order = read.get("host", {}).get("order", ())
        self.faults += rules.of_order(order, products if isinstance(products, dict) else {})
        return read

    def _products(self, value: object) -> dict[str, dict[str, Any]]:
        """Read every product."""
        products: dict[str, dict[str, Any]] = {}
        if not isinstance(value, dict):
            self._add(("products",), _NO_TABLE, value)
            return products
        self.faults += rules.of_names(value)
        for name, table in value.items():
            read = self._section(PRODUCT, ("products", name), table)
            if isinstance(table, dict):
                self.faults += rules.of_product(name, table, read)
                products[name] = {**read, "kind": rules.kind_of(name, table, read)}
        self.faults += rules.of_places(products)
        return products

    def _section(self, section: Section, path: KeyPath, table: object) -> dict[str, Any]:
        """Read one table and those in it."""
        read: dict[str, Any] = {}
        if not isinstance(table, dict):
            self._add(path, _NO_TABLE, table)
            return read
        for name, value in table.items():
            where, part = (*path, name), section.part(name)
            if part is not None and not (part.brief and isinstance(value, list)):
                read[name] = self._section(part, where, value)
                continue
            try:
                read[name] = _reader(section, path, name).read(value)
            except Unfit as unfit:
                self._add(where, unfit, value)
        return read

    def _add(self, path: KeyPath, unfit: Unfit, value: object) -> None:
        """Note a fault, at the item of an array where it is one's."""
        for place in unfit.at:
            value = value[place] if isinstance(value, list) and isinstance(place, int) else value
        self.faults.append(Fault((*path, *unfit.at), unfit.fault, unfit.remedy, shown_value(value)))


_NO_TABLE = Unfit("is not a table", "write it as a [table] with keys below it")


def _reader(section: Section, path: KeyPath, name: str) -> Reader:
    """Return the reader of a key, or of a table that is written as an array.

    Raises:
        Unfit: there is no such key.
    """
    key, part = section.key(name), section.part(name)
    found = key.reader if key else part.brief if part else None
    if found is None:
        raise unknown(name, section.names, path)
    return found


def unknown(name: str, names: Sequence[str], path: KeyPath) -> Unfit:
    """Return what is to be said of a key that is not known among ``names`` in the table ``path``.

    In TOML a key belongs to the header above it: one that was meant for the table before is told where it belongs.
    """
    import difflib  # noqa: PLC0415 (needed for a slip of the pen alone)

    fault = "is not known here"
    home = next((section for section in SECTIONS if section.key(name)), None)
    if home is not None:
        product = str(path[1]) if len(path) > 1 else "NAME"
        return Unfit(fault, f"move it to the table [{home.name.replace('NAME', product)}], below its header")
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return Unfit(fault, f"write {near[0]}, if that is what is meant")
    return Unfit(fault, f"write one of {', '.join(names)}")
