"""Writes docs/states.md: the state machines as the server's tables have them, with diagrams that name the triggers.

The page is a pure function of the tables; a test makes it again and compares. Usage: python -m tools.states_doc
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetroll_server.domain.deadlines import expiry
from fleetroll_server.domain.states import (
    ATTEMPT_TRANSITIONS,
    BAD,
    BEFORE_GO,
    FINAL,
    ROLLOUT_TRANSITIONS,
    WAVE_TRANSITIONS,
    AttemptState,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import StrEnum

    Table = Mapping[Any, Mapping[Any, StrEnum]]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "states.md"
HEAD = """# States

<!-- Made by `make docs`. -->

What stands in no table is illegal and raises. A trigger that leads from a state to itself repeats what is known."""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "## A host's attempt", _attempts(), diagram(ATTEMPT_TRANSITIONS)]
    parts += ["## A wave", _table(WAVE_TRANSITIONS), diagram(WAVE_TRANSITIONS)]
    parts += ["## A rollout", _table(ROLLOUT_TRANSITIONS), diagram(ROLLOUT_TRANSITIONS)]
    return "\n\n".join(parts) + "\n"


def diagram(table: Table) -> str:
    """Return a machine as a mermaid diagram: one arrow for each pair of states, named by its triggers."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table))}"]
    for state, steps in table.items():
        arrows: dict[StrEnum, list[str]] = {}
        for trigger, after in steps.items():
            arrows.setdefault(after, []).append(str(trigger))
        lines += [f"    {state} --> {after}: {', '.join(triggers)}" for after, triggers in arrows.items()]
        lines += [] if steps else [f"    {state} --> [*]"]
    return "\n".join([*lines, "```"])


def _attempts() -> str:
    """Return the states of an attempt: what they mean for Go, for gates, and at their deadline."""
    lines = ["| state | Go | counts as | at its deadline |", "| --- | --- | --- | --- |"]
    for state in AttemptState:
        go = "before" if state in BEFORE_GO else "ended" if state in FINAL else "past"
        rule = expiry(state)
        ends = f"`{rule.trigger}`: `{rule.code}`" if rule is not None else ""
        lines.append(f"| `{state}` | {go} | {'bad' if state in BAD else ''} | {ends} |")
    return "\n".join(lines)


def _table(table: Table) -> str:
    """Return a machine as a table of states and triggers."""
    return "\n".join(["| state | trigger → next |", "| --- | --- |", *_rows(table)])


def _rows(table: Table) -> Iterator[str]:
    """Give one row for each state."""
    for state, steps in table.items():
        shown = ", ".join(f"`{trigger}` → `{after}`" for trigger, after in steps.items())
        yield f"| `{state}` | {shown or 'ended'} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
