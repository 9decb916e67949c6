"""The table of keys: it has every setting, says something of each, and is what the reference shows."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.settings import (
    CommandCheck,
    DownloadSettings,
    Health,
    Hook,
    Hooks,
    HostSettings,
    HttpCheck,
    Product,
    Settings,
    UnitCheck,
    parse_settings,
)
from fleetroll_agent.settings.product_table import (
    CHECKS,
    HEALTH,
    HOOKS,
    IDEMPOTENT,
    MACHINE,
    PRODUCT,
    SECTIONS,
    TIME_LIMITS,
)

if TYPE_CHECKING:
    from fleetroll_agent.settings.table import Key, Section

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "agent-settings.md"


def names(*values: type) -> set[str]:
    """The fields of some values."""
    return {field.name for each in values for field in fields(each)}


def keys(section: Section) -> set[str]:
    return {f"{section.prefix}{key.name}" for key in section.keys}


def test_every_setting_is_a_key_and_every_key_a_setting() -> None:
    """No value exists that the file can't give, and no key that changes nothing."""
    flat = set().union(*(keys(MACHINE[name]) for name in ("reconnect", "go", "identity")))
    assert flat | {"host", "download", "products"} == names(Settings)
    assert keys(MACHINE["host"]) == names(HostSettings)
    assert keys(MACHINE["download"]) == names(DownloadSettings)
    assert keys(PRODUCT) | set(PRODUCT.parts or {}) | {"name"} == names(Product)
    assert keys(HOOKS) == names(Hooks) == keys(TIME_LIMITS) == keys(IDEMPOTENT) == {hook.value for hook in Hook}
    checks = names(HttpCheck, CommandCheck, UnitCheck)
    assert keys(HEALTH) == (names(Health) - {"check"}) | checks | set(CHECKS)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_the_reference_describes_every_key(section: Section) -> None:
    """A key that the reference leaves out would be found by nobody."""
    page = PAGE.read_text("utf-8")
    part = re.split(r"^## ", page.partition(f"## [{section.name}]\n")[2], flags=re.MULTILINE)[0]
    rows = [row.split(" | ") for row in part.splitlines() if row.startswith("| `")]
    assert [row[0] for row in rows] == [f"| `{key.name}`" for key in section.keys]
    assert all(len(row) == 5 and row[1] and row[3] and row[4].strip(" |") for row in rows)


@pytest.mark.parametrize("key", [key for section in SECTIONS for key in section.keys], ids=lambda key: key.name)
def test_a_number_of_time_or_bytes_has_a_unit(key: Key) -> None:
    """The unit stands in the name and in the table."""
    number = "number" in key.reader.words
    assert bool(key.unit) == (number and key.name != "status")
    assert key.meaning.endswith((".", "alone."))


def test_the_example_of_the_reference_is_taken() -> None:
    """What people copy works."""
    example = PAGE.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    assert [product.name for product in parse_settings(example).in_order] == ["db", "shop"]
