"""The line that is always there: where this is, whether it is true now, who asks, how many are up, what time it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from fleetroll_tui.paint import Paint, Span, size
from fleetroll_tui.text import clock_time, fit, number, short_lasting
from fleetroll_tui.theme import BANDS

if TYPE_CHECKING:
    from textual.app import RenderResult

    from fleetroll_tui.model.values import Token

SOON_SECONDS = 7 * 86_400.0
"""A token's end that is nearer than that is said."""


@dataclass(frozen=True)
class Top:
    """What the line says."""

    environment: str = ""
    band: str = "other"
    fresh: str = ""
    stale: bool = False
    frozen: bool = False
    recording: bool = False
    who: str = ""
    role: str = ""
    ends: str = ""
    crumbs: tuple[str, ...] = ()
    up: int = 0
    down: int = 0
    now: float = 0.0


def ending_words(token: Token | None, now: float) -> str:
    """Return that a token soon ends, so that nobody is left without one in the middle of a rollout."""
    if token is None or not token.expires_at or token.expires_at - now > SOON_SECONDS:
        return ""
    return f"token ends in {short_lasting(max(0.0, token.expires_at - now))}"


class TopLine(Widget):
    """The line itself."""

    def __init__(self, paint: Paint, **options: Any) -> None:
        """Say nothing yet."""
        super().__init__(**options)
        self.paint = paint
        self.top = Top()

    def show(self, top: Top) -> None:
        """Say this."""
        if top != self.top:
            self.top = top
            self.refresh()

    def render(self) -> RenderResult:
        """Return nothing: the line is drawn by :meth:`render_line`."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Return the line: what matters least goes first where there is no room."""
        width = self.size.width
        if y:
            return Strip.blank(width)
        colours = BANDS[self.top.band]
        name = self.paint.word(f" {fit(self.top.environment, min(24, size([(self.top.environment, '')])))} ")
        band = Segment(name, Style(color=colours.front, bgcolor=colours.behind, bold=True))
        room = width - size([(name, "")])
        spans = self._spans(room)
        style = self.paint.style
        rest = [Segment(self.paint.word(words), style(role, "bar")) for words, role in spans]
        return Strip([band, *rest]).adjust_cell_length(width, style("text", "bar"))

    def _spans(self, room: int) -> list[Span]:
        top = self.top
        role = "wait!" if top.stale or top.frozen or top.recording else "ok"
        glyph = "▷" if top.recording else "❄" if top.frozen else "◌" if top.stale else "●"
        fresh: list[Span] = [(f" {glyph} {top.fresh}", role)]
        crumbs: list[Span] = [("  ", "muted")]
        for at, crumb in enumerate(top.crumbs):
            crumbs += [(" › ", "muted")] if at else []
            crumbs.append((crumb, "text!" if at == len(top.crumbs) - 1 else "muted"))
        ends: list[Span] = [(f" {top.ends}", "wait!")] if top.ends else []
        by_role: list[Span] = [(f"  {top.role}", "muted"), *ends] if top.role else []
        who: list[Span] = [(f"  {' '.join(filter(None, (top.who, top.role)))}", "muted"), *ends] if top.who else by_role
        up_role = "muted" if top.stale else "ok"
        down_role = "bad!" if top.down and not top.stale else "muted"
        words: list[Span] = [(f"{number(top.up)} up  ", up_role), (f"{number(top.down)} down", down_role)]
        short: list[Span] = [(f"{number(top.up)}▲ ", up_role), (f"{number(top.down)}▼", down_role)]
        clock: list[Span] = [(f"  {clock_time(top.now)} ", "text")]
        for left, right in (
            ([*fresh, *who, *crumbs], [*words, *clock]),
            ([*fresh, *by_role, *crumbs], [*words, *clock]),
            ([*fresh, *by_role, *crumbs], [*short, *clock]),
            ([*fresh, *crumbs], [*words, *clock]),
            ([*fresh, *crumbs], [*short, *clock]),
            ([*fresh, *crumbs], clock),
            ([*fresh, *crumbs], []),
        ):
            gap = room - size(left) - size(right)
            if gap >= 1:
                return [*left, (" " * gap, "text"), *right]
        return [*fresh, *crumbs]
