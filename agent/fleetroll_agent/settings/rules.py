"""What must hold between keys. Pure: each rule takes what the file has, and what of it could be read, and tells faults.

A rule about presence looks at the file, any other at what could be read: a value that was refused already counts as
given, and leads to no second fault.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.settings.faults import Fault, KeyPath, dotted, shown_value
from fleetroll_agent.settings.host_table import MAX_PRODUCTS
from fleetroll_agent.settings.product import Kind
from fleetroll_agent.settings.product_table import CHECKS, PRODUCT
from fleetroll_agent.settings.table import Section
from fleetroll_agent.settings.values import Settings
from fleetroll_common.values.release import is_product

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


AGENT = Kind.AGENT.value
LAUNCHER = "launcher"
"""Updated by a command of its own."""
REQUIRED_OF_COMMAND = ("backup", "pull", "smoke", "switch")
OF_URL = ("status", "body", "version")


def of_waits(read: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell when the cap of ``[reconnect]`` is below its base; where one is left out, its default counts."""
    default = Settings()
    base = read.get("base_seconds", default.reconnect_base_seconds)
    cap = read.get("cap_seconds", default.reconnect_cap_seconds)
    if cap >= base:
        return
    remedy = "raise the cap or lower the base"
    if "cap_seconds" in read:
        yield Fault(("reconnect", "cap_seconds"), f"is below reconnect.base_seconds, {base:g}", remedy, f"{cap:g}")
    else:
        yield Fault(("reconnect", "base_seconds"), f"is above reconnect.cap_seconds, {cap:g}", remedy, f"{base:g}")


def of_order(order: tuple[str, ...], products: Mapping[str, object]) -> Iterator[Fault]:
    """Tell which names in ``host.order`` are no products of the file."""
    for place, name in enumerate(order):
        if name not in products:
            remedy = f"add the table [products.{name}], or take the name out"
            yield Fault(("host", "order", place), "has no table in this file", remedy, shown_value(name))


def of_names(products: Mapping[str, object]) -> Iterator[Fault]:
    """Tell which names are none, and which product is one too many."""
    for name in products:
        if not is_product(name):
            remedy = "begin with a small letter; take small letters, digits and dashes, 63 at most"
            yield Fault(("products", name), "is not the name of a product", remedy)
        elif name == LAUNCHER:
            yield Fault(("products", name), "is a name that the agent keeps for itself", "choose another name")
    others = [name for name in products if name != AGENT]
    if len(others) > MAX_PRODUCTS:
        path = ("products", others[MAX_PRODUCTS])
        yield Fault(path, f"is product {MAX_PRODUCTS + 1}, {MAX_PRODUCTS} are allowed", "take products out")


def of_places(products: Mapping[str, Mapping[str, Any]]) -> Iterator[Fault]:
    """Tell when two products want the same place on disk."""
    owners: dict[str, str] = {}
    for name, read in products.items():
        for key in ("path", "link"):
            place = read.get(key)
            if place is not None and owners.setdefault(place, f"{name}.{key}") != f"{name}.{key}":
                fault = f"is products.{owners[place]} already"
                yield Fault(("products", name, key), fault, "give each product a place of its own", shown_value(place))


def kind_of(name: str, table: Mapping[str, Any], read: Mapping[str, Any]) -> Kind | None:
    """Return what a product is; None where that is missing or could not be read."""
    kind: Kind | None = read.get("kind")
    return Kind.AGENT if name == AGENT and "kind" not in table else kind


def of_product(name: str, table: Mapping[str, Any], read: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell what is wrong with one product as a whole."""
    path = ("products", name)
    kind = kind_of(name, table, read)
    if kind is None:
        if "kind" not in table:
            yield Fault((*path, "kind"), "is missing", 'write kind = "slots", "file" or "command"')
        return
    if (kind is Kind.AGENT) != (name == AGENT):
        remedy = "leave the kind out" if name == AGENT else 'write kind = "slots", "file" or "command"'
        yield Fault(
            (*path, "kind"), "goes with [products.agent], and nothing else does", remedy, shown_value(kind.value)
        )
        return
    yield from _of_kind(path, kind, PRODUCT, table)
    yield from _of_hooks(path, kind, _table(table, "hooks"))
    yield from _of_backup(path, table)
    yield from _of_health(path, _table(table, "health"), table)
    if kind is Kind.FILE and "path" not in table:
        yield Fault((*path, "path"), "is missing", 'name the file, like path = "/usr/local/bin/tool"')


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a table within a table; empty where there is none."""
    found = table.get(name)
    return found if isinstance(found, dict) else {}


def _of_kind(path: KeyPath, kind: Kind, section: Section, table: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell which keys a product of this kind can't have, in its table and those below."""
    for name, value in table.items():
        known = section.part(name) or section.key(name)
        if known is None:
            continue
        if kind not in known.kinds:
            fitting = ", ".join(sorted(each.value for each in known.kinds))
            remedy = f"take it out; it is for kind {fitting}"
            yield Fault((*path, name), f"makes no sense with kind {kind.value}", remedy, shown_value(value))
        elif isinstance(known, Section):
            yield from _of_part((*path, name), kind, known, value)


def _of_part(path: KeyPath, kind: Kind, section: Section, value: object) -> Iterator[Fault]:
    """Tell the same of a table within a product's, also where it is written as an array of names."""
    if isinstance(value, dict):
        yield from _of_kind(path, kind, section, value)
    elif isinstance(value, list):
        for place, name in enumerate(value):
            if isinstance(name, str):
                for fault in _of_kind(path, kind, section, {name: name}):
                    yield replace(fault, path=(*path, place))


def _of_hooks(path: KeyPath, kind: Kind, hooks: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell which commands are missing, and which exclude each other."""
    where = (*path, "hooks")
    if kind is Kind.COMMAND:
        for name in REQUIRED_OF_COMMAND:
            if name not in hooks:
                fault = "is missing: kind command needs it"
                yield Fault((*where, name), fault, f'write {name} = ["/path/of/program"] in [{dotted(where)}]')
    for name, needed, reason in (("migrate", "restore", "brings the data back"), ("restore", "backup", "gives the id")):
        if name in hooks and needed not in hooks and not (kind is Kind.COMMAND and needed == "backup"):
            fault = f"is missing: {name} needs it, since it {reason}"
            yield Fault((*where, needed), fault, f"write {needed}, or take {name} out")
    if "restart" in hooks and "reload" in hooks:
        yield Fault((*where, "reload"), "stands beside restart", "keep one of them", shown_value(hooks["reload"]))


def _of_backup(path: KeyPath, table: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell what is said of a backup that nobody makes, or of its place where nothing is asked of that."""
    where = dotted((*path, "hooks"))
    if "backup" not in _table(table, "hooks"):
        for name in ("backup_mib", "backup_folder"):
            if table.get(name):  # backup_mib = 0 says that nothing is asked
                remedy = f"take it out, or write backup in [{where}]"
                yield Fault((*path, name), "goes with the command backup alone", remedy, shown_value(table[name]))
    elif "backup_folder" in table and "backup_mib" not in table:
        remedy = "write backup_mib, or take it out"
        shown = shown_value(table["backup_folder"])
        yield Fault((*path, "backup_folder"), "goes with backup_mib alone", remedy, shown)


def _of_health(path: KeyPath, health: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[Fault]:
    """Tell when it is not one check that is given, and when keys go with another one."""
    where = (*path, "health")
    given = [name for name in health if name in CHECKS]
    if not given and "health" in table and isinstance(table["health"], dict) and "unit" not in table:
        yield Fault(where, "does not say what to ask", f"write one of {', '.join(CHECKS)}")
    for name in given[1:]:
        yield Fault((*where, name), f"stands beside {given[0]}", "keep one of them", shown_value(health[name]))
    if "url" not in given:
        for name in OF_URL:
            if name in health:
                yield Fault((*where, name), "goes with url alone", "take it out", shown_value(health[name]))
