"""Every key, those that work here and now in front."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from fleetroll_tui import commands
from fleetroll_tui.screens.dialogs import HALT
from fleetroll_tui.text import fit
from fleetroll_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.commands import Command
    from fleetroll_tui.paint import Span


MOST_CELLS = 93
"""What the box of the stylesheet has inside: 100 without its border, its padding and the bar that scrolls."""
INDENT = 29
"""Cells before what is said of a key."""


class HelpScreen(ModalScreen[None]):
    """The help."""

    BINDINGS: ClassVar = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
        HALT,
    ]

    def __init__(self, kind: str, working: Sequence[Command], halt_scope: tuple[str, str]) -> None:
        """Help on a screen, whose kill switch works here too."""
        super().__init__()
        self.kind = kind
        self.halt_scope = halt_scope
        self.working = {command.name for command in working}

    def compose(self) -> ComposeResult:
        """Make one long text."""
        with VerticalScroll(id="help") as box:
            box.border_title = " Keys "
            box.border_subtitle = " esc closes "
            yield Lines(cast("ConsoleApp", self.app).paint, grows=True, id="help-lines")

    def on_mount(self) -> None:
        """Show the text."""
        self.query_one("#help-lines", Lines).show_lines(
            help_lines(self.kind, self.working, min(MOST_CELLS, self.app.size.width - 13))
        )
        self.query_one("#help").focus()

    def action_halt(self) -> None:
        """Press the kill switch from here too, of what is below."""
        cast("ConsoleApp", self.app).press_halt(*self.halt_scope)

    def action_down(self) -> None:
        """Scroll."""
        self.query_one("#help").scroll_down(animate=False)

    def action_up(self) -> None:
        """Scroll."""
        self.query_one("#help").scroll_up(animate=False)


def help_lines(kind: str, working: set[str], width: int) -> list[list[Span]]:
    """Return the text: a key that does nothing now is dim."""
    lines: list[list[Span]] = []
    for group in commands.GROUPS:
        found = [each for each in commands.COMMANDS if each.group == group]
        here = [each for each in found if each.here(kind) or each.here(commands.LIST)]
        if not here:
            continue
        lines += [[], [(group, "accent!")]] if lines else [[(group, "accent!")]]
        for command in here:
            works = command.name in working or command.places == (commands.LIST,)
            said = wrap(command.said, max(20, width - INDENT))
            lines.append(
                [
                    (f"  {fit(command.shown, 11)}", "wait!" if works else "muted"),
                    (fit(command.label, 16), "text!" if works else "muted"),
                    (said[0], "text" if works else "muted"),
                ]
            )
            lines += [[(" " * INDENT + more, "text" if works else "muted")] for more in said[1:]]
    return lines
