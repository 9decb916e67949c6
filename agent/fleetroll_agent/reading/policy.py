"""What this host allows, value by value, and where each one comes from: agent.toml with its line, or the default."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from fleetroll_agent.reading.files import read_plain
from fleetroll_agent.reading.openings import next_opening
from fleetroll_agent.settings import SETTINGS_NAME, Kind, Pin, Product, Settings, Window, parse_settings
from fleetroll_agent.settings.lines import locate
from fleetroll_agent.settings.product_table import PRODUCT as TABLE
from fleetroll_agent.settings.toml import MAX_TEXT_CHARS, load, read_quoted
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from fleetroll_agent.settings.faults import KeyPath

DEFAULT = "default"
HOST_KEYS = (
    "order",
    "session",
    "check_in_seconds",
    "offline",
    "offline_after_seconds",
    "offline_sources",
    "containers",
)
DOWNLOAD_KEYS = ("bandwidth_kib_per_second", "slowest_kib_per_second", "stall_seconds", "mirrors")
PRODUCT_KEYS = (
    "auto_update",
    "allowed_channels",
    "pin",
    "min_update_interval_seconds",
    "windows",
    "expected_seconds",
    "backup_mib",
    "lock_command",
    "lock_deferrals",
    "retry_bad",
    "override_local",
    "revert_on_lost_contact",
)
NEXT_WINDOW = "next_window"
_WITHOUT = {"allowed_channels": "any", "windows": "always open"}


@dataclass(frozen=True, slots=True)
class Row:
    """One value.

    Attributes:
        key: as agent.toml has it.
        value: as plain JSON.
        shown: for people.
        origin: ``agent.toml line 7`` or ``default``; empty for what follows from others.
    """

    key: str
    value: Any
    shown: str
    origin: str


@dataclass(frozen=True, slots=True)
class Effective:
    """All of it; products in the order in which they are updated, the agent first."""

    host: tuple[Row, ...]
    products: dict[str, tuple[Row, ...]]


class Origins:
    """Where the keys of a text of agent.toml stand."""

    def __init__(self, text: str) -> None:
        """Read ``text``, which was accepted as settings."""
        self._document = load(text)
        self._lines = locate(text, read_quoted)

    def of(self, path: KeyPath) -> str:
        """Return the origin of the key at ``path``."""
        table: Any = self._document
        for part in path:
            if not isinstance(table, dict) or part not in table:
                return DEFAULT
            table = table[part]
        return f"{SETTINGS_NAME} line {self._lines.of(path)}"


def settings_text(state: Path) -> str:
    """Return what agent.toml of ``state`` says; empty when there is none.

    Raises:
        RequestError: INVALID_ARGUMENT: it can't be read as text (whoever wrote it).
    """
    try:
        return (read_plain(state / SETTINGS_NAME, 4 * MAX_TEXT_CHARS + 1) or b"").decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        text, remedy = f"{SETTINGS_NAME}: the file can't be read: {error}", "write it as text in UTF-8"
        raise RequestError(text, code=Code.INVALID_ARGUMENT, remedy=remedy, file=SETTINGS_NAME) from error


def effective(text: str, now: datetime, local_zone: str) -> Effective:
    """Return what agent.toml with the content ``text`` allows.

    Raises:
        RequestError: INVALID_ARGUMENT: as :func:`~fleetroll_agent.settings.parse_settings`.
    """
    settings, origins = parse_settings(text), Origins(text)
    host = [_row(origins, ("host", key), getattr(settings.host, key)) for key in HOST_KEYS]
    host += [_row(origins, ("download", key), getattr(settings.download, key)) for key in DOWNLOAD_KEYS]
    products = {product.name: _product_rows(origins, product, now, local_zone) for product in with_agent(settings)}
    return Effective(tuple(host), products)


def with_agent(settings: Settings) -> tuple[Product, ...]:
    """Return the agent, and then the managed products in their order."""
    own = settings.product(Kind.AGENT.value) or Product(Kind.AGENT.value, Kind.AGENT)
    return (own, *(product for product in settings.in_order if product.kind is not Kind.AGENT))


def only(found: Effective, product: str) -> Effective:
    """Return what holds for one product, and the host.

    Raises:
        RequestError: NOT_FOUND: there is no such product here.
    """
    if not product:
        return found
    if product not in found.products:
        text = f"product: {product!r:.80} is not kept here"
        remedy = f"name one of {', '.join(found.products)}"
        raise RequestError(text, code=Code.NOT_FOUND, remedy=remedy, field="product")
    return Effective(found.host, {product: found.products[product]})


def document(found: Effective) -> dict[str, Any]:
    """Return it as plain JSON values."""
    return {"host": _table(found.host), "products": {name: _table(rows) for name, rows in found.products.items()}}


def sentences(found: Effective) -> list[str]:
    """Return it as lines for people."""
    lines = ["host", *(_line(row) for row in found.host)]
    for name, rows in found.products.items():
        lines += [name, *(_line(row) for row in rows)]
    return lines


def _table(rows: Iterable[Row]) -> dict[str, Any]:
    return {row.key: {"value": row.value, "origin": row.origin} for row in rows}


def _line(row: Row) -> str:
    return f"  {row.key:28} {row.shown}{f'  ({row.origin})' if row.origin else ''}"


def _product_rows(origins: Origins, product: Product, now: datetime, local_zone: str) -> tuple[Row, ...]:
    rows = []
    for name in PRODUCT_KEYS:
        key = TABLE.key(name)
        if key is None or product.kind in key.kinds:
            rows.append(_row(origins, ("products", product.name, name), getattr(product, name)))
    opening = next_opening(product, now, local_zone)
    return (*rows, Row(NEXT_WINDOW, opening, opening, ""))


def _row(origins: Origins, path: KeyPath, value: object) -> Row:
    key, plain = str(path[-1]), _json(value)
    return Row(key, plain, _shown(key, plain), origins.of(path))


def _json(value: object) -> Any:  # noqa: ANN401 (plain JSON)
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, (Pin, Window)) else value


def _shown(key: str, value: Any) -> str:  # noqa: ANN401 (plain JSON)
    if value is None or value == []:
        return _WITHOUT.get(key, "none")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return (" " if key == "lock_command" else ", ").join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
