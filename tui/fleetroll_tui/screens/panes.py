"""The panes of a screen: which has the focus, which one is seen in a narrow terminal, which one has all the room."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

if TYPE_CHECKING:
    from fleetroll_tui.screens.base import ConsoleScreen

PANE = "pane"
"""The class of what can have all the room; tiles go through the tab key too, and can't."""
LARGE, AWAY = "-large", "-away"


class Panes:
    """The part of a screen that is about its panes.

    Around the body nothing ever gives way: how fresh the view is, a pressed kill switch, the keys are always in sight.
    """

    panes: ClassVar[tuple[str, ...]] = ()
    """Ids of the panes that the tab key goes through, in its order."""
    large: str = ""
    """Id of the pane that has all the room; "" while they share it."""

    @property
    def _screen(self) -> ConsoleScreen:
        return cast("ConsoleScreen", self)

    def do_maximise(self) -> None:
        """Give the pane with the focus the whole body, or give the others their room back."""
        focused = self._screen.focused
        name = focused.id if focused is not None and focused.has_class(PANE) else None
        self.enlarge("" if self.large else name or "")

    def enlarge(self, name: str) -> None:
        """Give a pane the whole body; "" shares it again."""
        screen = self._screen
        body = screen.query_one("#body")
        screen.query("#body *").remove_class(LARGE, AWAY)
        self.large = name
        part = screen.query_one(f"#{name}") if name else body
        while part is not body and part.parent is not None:
            part.add_class(LARGE)
            for sibling in part.parent.children:
                sibling.set_class(sibling is not part, AWAY)
            part = part.parent  # type: ignore[assignment]  # a widget: the body is above it
        screen.call_after_refresh(screen.repaint_now)

    def do_pane(self) -> None:
        """Go to the next pane."""
        self._to_pane(1)

    def do_pane_back(self) -> None:
        """Go to the pane before."""
        self._to_pane(-1)

    def _to_pane(self, by: int) -> None:
        here = self.pane_at()
        self.show_pane(self.panes[(here + by) % len(self.panes)])

    def pane_at(self) -> int:
        """Return the number of the pane with the focus."""
        focused = self._screen.focused
        return self.panes.index(focused.id) if focused is not None and focused.id in self.panes else 0

    def show_pane(self, name: str) -> None:
        """Give a pane the focus, and its place on the screen where not all have one; all the room, if one had it."""
        screen = self._screen
        for pane in self.panes:
            screen.set_class(pane == name, f"-at-{pane}")
        found = screen.query_one(f"#{name}")
        if self.large:
            self.enlarge(name if found.has_class(PANE) else "")
        found.focus()
        screen.call_after_refresh(screen.repaint_now)
