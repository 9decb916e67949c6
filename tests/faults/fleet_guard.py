"""A statement on a table of one fleet's things is held to one fleet: read from its structure, not from its text.

Every table of a fleet that a statement reads or changes must have its ``fleet_id`` set equal, in a condition that holds
for the whole statement, to a value or to the same column of a table for which that is so. A condition under OR or NOT,
a column compared with itself, or one that is only selected, holds nobody to anything. What looks at every fleet says so
by ``every_fleet``, with its reason.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, Grouping
from sqlmodel import SQLModel

import fleetroll_server.store.tables  # noqa: F401 (registers the tables)
from fleetroll_server.store.fleets import EVERY_FLEET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FLEET_TABLES = frozenset(name for name, table in SQLModel.metadata.tables.items() if "fleet_id" in table.c)
_SOUND = set[tuple[Any, bool]]()
"""Forms of statements that may run, each with whether it was marked. A form is a statement without its values, which is
also what the library keeps compiled SQL by; the verdict asks for no value, and a server says few forms very often.
"""


class Fact(NamedTuple):
    """A comparison that is true of every row; ``about`` names the FROM elements that it may hold, all where None."""

    comparison: BinaryExpression[Any]
    about: frozenset[str] | None = None


def offence(statement: Any) -> str:
    """Why a statement must not be run; empty when it may."""
    if isinstance(statement, sa.TextClause):
        words = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", str(statement))))
        return f"text: {statement}" if FLEET_TABLES & words else ""
    if not isinstance(statement, (sa.Select, sa.CompoundSelect, sa.Insert, sa.Update, sa.Delete)):
        return ""
    marked = bool(statement.get_execution_options().get(EVERY_FLEET))
    key = statement._generate_cache_key()
    form = None if key is None else (key.key, marked)
    if form in _SOUND:
        return ""
    found = "; ".join(_loose(statement, [], frozenset(), marked=marked))
    if form is not None and not found:
        _SOUND.add(form)
    return found


@contextmanager
def fleets_named() -> Iterator[None]:
    """Fail where a statement of the block is held to no fleet."""
    offences: list[str] = []

    def watch(_connection: Any, statement: Any, *_rest: Any) -> None:
        if found := offence(statement):
            offences.append(found)

    sa.event.listen(Engine, "before_execute", watch)
    try:
        yield
    finally:
        sa.event.remove(Engine, "before_execute", watch)
    assert not offences, "\n".join(sorted(set(offences)))


def _loose(element: Any, around: list[Fact], held: frozenset[str], *, marked: bool = False) -> Iterator[str]:
    """Yield what is held to no fleet in a statement, and in those within it.

    Rows that are inserted name their fleet: the column takes no NULL and has no default.

    Args:
        element: the statement, or a part of it.
        around: what is true of the rows of the statements around it.
        held: FROM elements around it that are held to a fleet, or whose rows are taken one by one.
        marked: it may look at every fleet; what is within it is held to the fleet of the row at hand all the same.
    """
    if isinstance(element, (sa.Select, sa.Update, sa.Delete)):
        sources, facts = set[str](), [Fact(one) for one in _comparisons(element._where_criteria)]
        froms = element.get_final_froms() if isinstance(element, sa.Select) else [element.table]
        for source in [*froms, *getattr(element, "_extra_froms", ())]:
            _take(source, sources, facts)
        around = [*around, *facts]
        held = _held(around, held | sources if marked else held)
        if loose := sorted(source for source in sources - held if source.partition(" ")[0] in FLEET_TABLES):
            yield f"{', '.join(loose)}: {' '.join(str(element).split())}"
        marked = False
    for child in element.get_children():
        yield from _loose(child, around, held, marked=marked)


def _take(source: Any, sources: set[str], facts: list[Fact]) -> None:
    """Add the elements of a FROM, and what its joins demand: an outer join binds its optional side alone."""
    if isinstance(source, sa.Join):
        _take(source.left, sources, facts)
        optional = set[str]()
        _take(source.right, optional, facts)
        sources |= optional
        about = frozenset() if source.full else frozenset(optional) if source.isouter else None
        facts += [Fact(one, about) for one in _comparisons([source.onclause])]
    elif _key(source):
        sources.add(_key(source))


def _key(source: Any) -> str:
    """Name an element of a FROM by the table behind it, and by its own name where it is an alias."""
    table, names = source, list[str]()
    while isinstance(table, sa.Alias):
        names.append(str(table.name))
        table = table.element
    return " ".join([table.name, *names]) if isinstance(table, sa.Table) else ""


def _comparisons(conditions: Iterable[Any]) -> Iterator[BinaryExpression[Any]]:
    """Yield every comparison that must be true for the whole condition to be."""
    for condition in conditions:
        if isinstance(condition, Grouping):
            yield from _comparisons([condition.element])
        elif isinstance(condition, BooleanClauseList):
            if condition.operator is operators.and_:
                yield from _comparisons(condition.clauses)
        elif isinstance(condition, BinaryExpression):
            yield condition


def _held(facts: list[Fact], given: frozenset[str]) -> frozenset[str]:
    """Return the FROM elements that the facts hold to one fleet, also through others; ``given`` are held already."""
    held = set(given)
    more = True
    while more:
        found = {key for fact in facts for key in _by_fact(fact, held)} - held
        held |= found
        more = bool(found)
    return frozenset(held)


def _by_fact(fact: Fact, held: set[str]) -> Iterator[str]:
    """Yield what a fact holds: a fleet column is equal to a value, to one of some values, or to one that is held."""
    comparison, about = fact
    for side, other in ((comparison.left, comparison.right), (comparison.right, comparison.left)):
        key = _fleet_of(side)
        if not key or (about is not None and key not in about):
            continue
        by_value = comparison.operator in {operators.eq, operators.in_op} and isinstance(other, BindParameter)
        if by_value or (comparison.operator is operators.eq and _fleet_of(other) in held):
            yield key


def _fleet_of(side: Any) -> str:
    """Return the FROM element whose fleet a side of a comparison is; empty for anything else."""
    return _key(getattr(side, "table", None)) if getattr(side, "name", "") == "fleet_id" else ""
