"""Dialogs about releases. They say what changed since, and are about nothing any more when the release is gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Input

from fleetroll_tui.screens.dialogs import Confirm, Dialog, TypeName
from fleetroll_tui.text import clean
from fleetroll_tui.widgets.line_input import PlainInput
from fleetroll_tui.widgets.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.paint import Span

MOST_CHANNELS, MOST_CHARS = 16, 63
_CHANNEL = re.compile(rf"[a-z0-9-]{{1,{MOST_CHARS}}}")


class AboutRelease(Dialog):
    """What every question about a release has."""

    release: Release
    role_version: int
    """Version of the product's role that the question was drawn from."""

    def now(self) -> Release | None:
        """Return the release as it was listed last."""
        return self.console.session.papers.releases.get(self.release.id)

    def void(self) -> str:
        """Return why the question is about nothing any more."""
        gone = self.console.session.papers.catalogue.known and self.now() is None
        return super().void() or ("the server tells of it no more" if gone else "")

    def changes(self) -> list[str]:
        """Return what has changed since the question was drawn."""
        void, now = self.void(), self.now()
        if void or now is None:
            return [void] if void else []
        found = []
        if now.state != self.release.state:
            found.append(f"state {self.release.state} → {now.state}: {now.reason}")
        if now.channels != self.release.channels:
            found.append(f"channels {', '.join(self.release.channels)} → {', '.join(now.channels)}")
        version = self.console.role_version(self.release.product)
        return found or ([f"role {self.role_version} → {version}"] if version != self.role_version else [])


class Withdraw(AboutRelease, Confirm):
    """Yes or no before a release is taken off the list."""

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], release: Release, role_version: int) -> None:
        """Ask about a release as it was seen."""
        super().__init__(title, lines)
        self.release, self.role_version = release, role_version


class Promote(AboutRelease, TypeName):
    """Asks for channels, and for the version to be typed."""

    first: ClassVar = "#channels"

    def __init__(self, title: str, lines: Sequence[Sequence[Span]], release: Release, role_version: int) -> None:
        """Ask about a release as it was seen."""
        super().__init__(title, lines, release.version)
        self.release, self.role_version = release, role_version
        self.chosen: tuple[str, ...] = ()
        """The channels that were answered with."""

    def compose_answers(self) -> ComposeResult:
        """Make the line for the channels, then the others."""
        yield Lines(self.paint, grows=True, id="dialog-channels")
        yield PlainInput(
            " ".join(self.release.channels), id="channels", compact=True, max_length=2000, select_on_focus=False
        )
        yield from super().compose_answers()

    def on_mount(self) -> None:
        """Say what the first line is."""
        said: list[Any] = [[("In which channels? Exactly these, with blanks between:", "text")]]
        self.query_one("#dialog-channels", Lines).show_lines(said)

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels that were written, each once."""
        return tuple(dict.fromkeys(self.query_one("#channels", Input).value.replace(",", " ").split()))

    def reason(self) -> str:
        """Return the reason, and keep the channels: when it has ended, there is no line to read them from."""
        self.chosen = self.channels
        return super().reason()

    def fault(self) -> str:
        """Return what is wrong with the channels; "" for nothing."""
        channels = self.channels
        wrong = next((each for each in channels if _CHANNEL.fullmatch(each) is None), "")
        if wrong:
            return f"{wrong[:MOST_CHARS]!r} is no channel: a-z, 0-9 and dash, {MOST_CHARS} at most"
        if not 1 <= len(channels) <= MOST_CHANNELS:
            return f"name 1 to {MOST_CHANNELS} channels; to take it off every list, yank or retire it"
        return "it is in exactly these channels already" if set(channels) == set(self.release.channels) else ""

    def at_fault(self) -> bool:
        """Tell whether the channels can't be; it is said then."""
        fault = self.fault()
        if fault:
            self.query_one("#dialog-channels", Lines).show_lines([[(clean(fault, 200), "bad")]])
            self.query_one("#channels", Input).focus()
        return bool(fault)


class Floor(AboutRelease, TypeName):
    """Asks for the number of hosts that a floor leaves without a way up."""

    def __init__(
        self, title: str, lines: Sequence[Sequence[Span]], release: Release, role_version: int, stranded: int
    ) -> None:
        """Ask about a release as it was seen."""
        super().__init__(title, lines, str(stranded))
        self.release, self.role_version = release, role_version


class Elsewhere(Dialog):
    """Says who decides this instead, and how; it does nothing."""

    BINDINGS: ClassVar = [Binding("enter", "no", "Close", show=False)]

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
