"""Dialogs. What stops needs none; what spreads shows its evidence and stands on No; what ends asks for a name.

In a small terminal the evidence scrolls. Its last paragraph, what changed since, and the answers are always in sight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from fleetroll_tui.model.progress import what_changed
from fleetroll_tui.screens.panels import scope_of
from fleetroll_tui.text import clean
from fleetroll_tui.widgets.line_input import PlainInput
from fleetroll_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.geometry import Size

    from fleetroll_tui.app import ConsoleApp
    from fleetroll_tui.model.values import Rollout, Switch
    from fleetroll_tui.paint import Paint, Span

HALT = Binding("H", "halt", "Halt", show=False)
SCROLLS = {"up": "scroll_up", "down": "scroll_down", "pageup": "scroll_page_up", "pagedown": "scroll_page_down"}
"""Keys, and what they do to the evidence wherever the focus is: no line of text takes them."""

MOST_TYPED = 60
"""Characters of a name that are to be typed: it stands in one line, of a longer one its beginning."""
MOST_REASON = 500
"""Characters of a reason, as the contract has it."""
MOST_CHANGES = 3
"""Changes that are named; each has two lines at most, so that the answers keep their place."""
CHANGE_CHARS = 130


class Box(Vertical):
    """As high as what is in it, as far as there is room: what scrolls gives way, nothing else does."""

    _has_relative_children_height = False  # else the framework takes all the room that there is for what scrolls

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the height of what stands still, in which one line of what scrolls is, and of the rest of that."""
        still = super().get_content_height(container, viewport, width)
        lines = self.query("#dialog-lines")
        return still + (max(1, lines.first().get_content_height(container, viewport, width)) - 1 if lines else 0)


class Dialog(ModalScreen["str | None"]):
    """A box over the screen. The screen below goes on being painted.

    It ends with the reason that was given, which may be "", or with None for no.
    """

    BINDINGS: ClassVar = [
        Binding("escape", "no", "No", show=False),
        *(Binding(key, f"scroll_lines('{key}')", "Scroll", show=False) for key in SCROLLS),
        HALT,
    ]

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], drawn: Rollout | None = None) -> None:
        """Say this; ``drawn`` is the rollout as it was when the question was asked.

        The last paragraph of the lines, after the last empty one, does not scroll.
        """
        super().__init__()
        self.words = title
        parting = max((place for place, line in enumerate(lines) if not line), default=len(lines))
        self.lines, self.last = lines[:parting], lines[parting + 1 :]
        self.drawn = drawn
        self._log = self.console.session.logs

    @property
    def console(self) -> ConsoleApp:
        """Return the app, typed."""
        return cast("ConsoleApp", self.app)

    @property
    def paint(self) -> Paint:
        """Return the hand that paints."""
        return self.console.paint

    def compose(self) -> ComposeResult:
        """Make the box: what is said, what changed since, and the answers."""
        with Box(id="dialog") as box:
            box.border_title = self.paint.line((f" {clean(self.words, 100)} ", "text!"))
            with VerticalScroll(id="dialog-scroll", can_focus=False):
                yield Lines(self.paint, grows=True, id="dialog-lines")
            yield Lines(self.paint, grows=True, id="dialog-last")
            yield Lines(self.paint, grows=True, id="dialog-changed")
            yield from self.compose_answers()

    def compose_answers(self) -> ComposeResult:
        """Make the answers."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show what is said."""
        self.query_one("#dialog-lines", Lines).show_lines(self.lines)
        last = self.query_one("#dialog-last", Lines)
        last.set_class(bool(self.last), "-on")
        last.show_lines(self.last)

    def changes(self) -> list[str]:
        """Return what has changed since the question was drawn."""
        void = self.void()
        if void or self.drawn is None:
            return [void] if void else []
        now = self.console.session.fleet.rollouts.get(self.drawn.id)
        return what_changed(self.drawn, now) if now is not None else []

    def void(self) -> str:
        """Return why the question is about nothing any more; "" while it is about something.

        In a log that was replaced the same numbers may stand for something else.
        """
        session = self.console.session
        if session.logs != self._log:
            return "the server's log was replaced: ask again"
        gone = self.drawn is not None and session.fleet.loaded and session.fleet.rollouts.get(self.drawn.id) is None
        return "the server tells of it no more" if gone else ""

    def answer(self) -> None:
        """End with yes, unless the question is about nothing any more."""
        void = self.void()
        if void:
            self.console.say("Nothing was sent", void)
            self.dismiss(None)
        else:
            self.dismiss(self.reason())

    def repaint_dialog(self) -> None:
        """Show what changed in the meantime, and whether there is more than is seen."""
        if not self.query("#dialog-changed"):
            return
        changes, found = self.changes(), self.query_one("#dialog-changed", Lines)
        found.set_class(bool(changes), "-on")
        more = len(changes) - MOST_CHANGES
        lines: list[Sequence[Span]] = [[("▲ changed since you asked:", "wait!")]] if changes else []
        lines += [[(f"  {clean(change, CHANGE_CHARS)}", "text")] for change in changes[:MOST_CHANGES]]
        found.show_lines([*lines, [(f"  and {more} more", "text")]] if more > 0 else lines)
        scrolls = self.query_one("#dialog-scroll", VerticalScroll).max_scroll_y > 0
        self.query_one("#dialog").border_subtitle = self.paint.line((" ↑ ↓ scrolls ", "muted")) if scrolls else ""

    def action_scroll_lines(self, key: str) -> None:
        """Scroll the evidence; the focus stays where it is."""
        getattr(self.query_one("#dialog-scroll"), SCROLLS[key])(animate=False)

    def compose_reason(self, key: str) -> ComposeResult:
        """Make the line for a reason, which a key goes to."""
        said = f"{key}: why? kept with the decision, may stay empty"
        yield PlainInput(id="reason", compact=True, max_length=MOST_REASON, placeholder=said)

    def action_reason(self) -> None:
        """Go to the line for a reason."""
        self.query_one("#reason", Input).focus()

    def reason(self) -> str:
        """Return the reason that was given."""
        return self.query_one("#reason", Input).value.strip()

    def action_no(self) -> None:
        """Do nothing."""
        self.dismiss(None)

    def action_halt(self) -> None:
        """Press the kill switch from here too."""
        self.console.press_halt(*scope_of(self.drawn.fleet_id if self.drawn is not None else ""))


class Confirm(Dialog):
    """Yes or no; the focus is on No."""

    BINDINGS: ClassVar = [
        Binding("y", "yes", "Yes", show=False),
        Binding("n", "no", "No", show=False),
        Binding("r", "reason", "Reason", show=False),
        Binding("left,right,tab,h,l", "other", "Other", show=False),
    ]

    def compose_answers(self) -> ComposeResult:
        """Make the line for a reason, and two buttons."""
        yield from self.compose_reason("r")
        with Horizontal(id="answers"):
            yield Button("n No", id="no", compact=True)
            yield Button("y Yes", id="yes", compact=True)

    def on_mount(self) -> None:
        """Stand on No."""
        super().on_mount()
        self.query_one("#no", Button).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go from the reason to No: enter in a text never is a yes."""
        event.stop()
        self.query_one("#no", Button).focus()

    def action_yes(self) -> None:
        """Do it."""
        self.answer()

    def action_other(self) -> None:
        """Go to the other answer."""
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        if event.button.id == "yes":
            self.answer()
        else:
            self.action_no()


class TypeName(Dialog):
    """Asks for a name to be typed."""

    first: ClassVar[str] = "#typed"
    """Where one begins to write."""

    def __init__(
        self, title: str, lines: Sequence[Sequence[Span]], name_to_type: str, drawn: Rollout | None = None
    ) -> None:
        """Ask for this name, or its beginning; ``drawn`` is the rollout as it was when the question was asked."""
        super().__init__(title, lines, drawn)
        self.name_to_type = clean(name_to_type, 1000)[:MOST_TYPED].strip()

    def compose_answers(self) -> ComposeResult:
        """Make the line for a reason, and the input."""
        yield from self.compose_reason("tab")
        yield Lines(self.paint, grows=True, id="dialog-ask")
        yield PlainInput(id="typed", compact=True, max_length=200)

    def on_mount(self) -> None:
        """Say what to type."""
        super().on_mount()
        ask: list[Span] = [
            ("Type ", "text"),
            (self.name_to_type, "text!"),
            (" and enter to go on; esc leaves it.", "text"),
        ]
        self.query_one("#dialog-ask", Lines).show_lines([[], ask])
        self.query_one(self.first, Input).focus()

    def at_fault(self) -> bool:
        """Tell whether anything else that was written can't be; it is said then, and has the focus."""
        return False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on only with the right name; from another line go to it. The framework asks this of each base in turn."""
        event.stop()
        if self.at_fault():
            return
        if event.input.id != "typed":
            self.query_one("#typed", Input).focus()
        elif event.value == self.name_to_type:
            self.answer()
        else:
            said: list[Any] = [[], [("That is not the name. Type ", "bad"), (self.name_to_type, "text!")]]
            self.query_one("#dialog-ask", Lines).show_lines(said)


class LiftSwitch(TypeName):
    """Asks for the environment's name before a kill switch is lifted; says so when it is not pressed as it was."""

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], name_to_type: str, switch: Switch) -> None:
        """Ask about a switch as it was seen."""
        super().__init__(title, lines, name_to_type)
        self.switch = switch

    def changes(self) -> list[str]:
        """Return whether somebody lifted it, or pressed it anew."""
        void = self.void()
        if void:
            return [void]
        now = self.console.session.fleet.switches.get(self.switch.scope)
        if now is None or not now.active:
            return ["somebody lifted it"]
        pressed_anew = now.decision != self.switch.decision
        return [f"pressed again by {now.decision.by}: {now.decision.reason}"] if pressed_anew else []


class Refused(Dialog):
    """The server refused a decision on what is no longer so; it shows what changed."""

    BINDINGS: ClassVar = [Binding("enter", "no", "Close", show=False)]

    def __init__(self, what: str, message: str, remedy: str, drawn: Rollout) -> None:
        """Show the refusal."""
        lines: list[list[Span]] = [
            [("The server refused it: the rollout is no longer what you decided on.", "text")],
            [(clean(message, 400), "muted")],
            [],
            [(clean(remedy, 400), "text!")],
        ]
        super().__init__(f"Not done: {what}", lines, drawn)

    def compose_answers(self) -> ComposeResult:
        """Make one button."""
        with Horizontal(id="answers"):
            yield Button("Close", id="no", compact=True)

    def on_mount(self) -> None:
        """Stand on the button."""
        super().on_mount()
        self.query_one("#no", Button).focus()

    def on_button_pressed(self) -> None:
        """Close."""
        self.action_no()
