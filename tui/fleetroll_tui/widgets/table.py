"""A table of any length: it draws the lines that are seen, from rows that live in the model.

The cursor is an id. Whatever comes, goes or moves, it stays on its row, and the row stays where it is on the screen. At
the first row it stays there instead, whatever row that is: nothing was chosen yet, and the first is the newest, or the
most urgent.

In a list of things that keys decide about, the cursor is bound instead: it never comes to stand on another row by
itself. It is on the first row that was shown; when its row leaves the list, it is on none until a key moves it, or the
list is asked for anew by another filter or order.

A line is painted only when what it says is another than what it said: a repaint of all lines costs ten times as much as
to find out which ones changed, and a key waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fleetroll_tui.commands import COMMANDS, LIST
from fleetroll_tui.paint import Paint, Span, joined, pad
from fleetroll_tui.text import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.style import Style
    from textual import events

Said = tuple[list[Span], str]
"""What a line says, and what is behind it."""
GUTTER = 2
"""Cells before the first column: the mark, and the cursor."""


class Rows(Protocol):
    """Rows by position and by id."""

    cursor: str
    marks: set[str]
    asked: int
    """How often other rows were asked for: by a filter, or in another order."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def id_at(self, position: int) -> str:
        """Return the id of a row."""
        ...

    def at(self, position: int) -> Any:
        """Return a row."""
        ...

    def position(self, key: str) -> int | None:
        """Return where a row stands."""
        ...

    def mark(self, key: str) -> None:
        """Mark a row, or take its mark away."""
        ...


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its heading.
        width: its least width, in cells.
        cell: what stands in a row of it, for a paint, an instant and the width that it got.
        flex: its part of the room that is left; 0 keeps its least width.
        most: the most that it takes.
        right: whether it is aligned to the right, as numbers are.
        rank: when there is no room, the highest ranks go first; 0 stays always.
    """

    title: str
    width: int
    cell: Callable[[Any, Paint, float, int], Sequence[Span]]
    flex: int = 0
    most: int = 400
    right: bool = False
    rank: int = 0


def widths(columns: Sequence[Column], room: int) -> list[tuple[Column, int]]:
    """Return the columns that fit, each with its width; one blank stands between two."""
    kept = list(columns)
    while sum(column.width + 1 for column in kept) - 1 > room:
        victim = max(kept, key=lambda column: column.rank)
        if not victim.rank:
            break
        kept.remove(victim)
    spare = room - sum(column.width + 1 for column in kept) + 1
    parts = sum(column.flex for column in kept)
    found = []
    for column in kept:
        more = min(spare * column.flex // parts, column.most - column.width) if parts and spare > 0 else 0
        found.append((column, column.width + max(0, more)))
    return found


class VirtualTable(ScrollView, can_focus=True):
    """Rows of the model on the screen."""

    BINDINGS: ClassVar = [
        Binding(command.key, f"list('{command.name}')", command.label, show=False)
        for command in COMMANDS
        if command.places == (LIST,)
    ]

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, table: VirtualTable, key: str) -> None:
            """Keep whose row it is."""
            super().__init__()
            self.table = table
            self.key = key

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, table: VirtualTable) -> None:
            """Keep whose cursor it is."""
            super().__init__()
            self.table = table

    def __init__(self, rows: Rows, columns: Sequence[Column], paint: Paint, **options: Any) -> None:
        """Show these rows; ``empty`` stands where there are none, ``bound`` is for rows that are decided about."""
        self.empty: str = options.pop("empty", "nothing here")
        self.bound: bool = options.pop("bound", False)
        super().__init__(**options)
        self.rows = rows
        self.columns = columns
        self.paint = paint
        self.now = 0.0
        self._layout_of: tuple[int, int] = (-1, -1)
        self._fitted: list[tuple[Column, int]] = []
        self._place = 0
        self._top = 0
        self._lines: int | None = None
        self._left = False
        self._asked = rows.asked
        self._shown: dict[int, Said] = {}
        """What each line of the screen said when it was painted, or marked to be."""

    def sync(self, now: float) -> None:
        """Draw what the rows are now; the cursor's row keeps its place on the screen."""
        self.now = now
        length = len(self.rows)
        asked, self._asked = self._asked, self.rows.asked
        place = self._find_cursor(length)
        self._left = self._is_left(asked)
        moved = place - self._place
        self._choose(place)
        fitted = self._fit_to(length)
        if moved:
            self._scroll(max(0, self.scroll_offset.y + moved))
        elif self.scroll_offset.y != self._top:  # dragged by the bar: the cursor comes along
            self._top = self.scroll_offset.y
            self._place = max(self._top, min(self._place, self._top + self.page - 1, length - 1))
            self._choose(self._place)
        self._keep_in_sight()
        if fitted:
            self.refresh()
        else:
            self._paint_changed()

    def _paint_changed(self) -> None:
        """Have the lines painted that say something else now."""
        for y in range(1, self.size.height):
            self._paint_line(y)

    def _paint_line(self, y: int) -> None:
        said = self._said(y)
        if self._shown.get(y) != said:
            self._shown[y] = said
            self.refresh(Region(0, y, self.size.width, 1))

    def take_height(self, lines: int | None) -> None:
        """Be so many lines high, borders and headings too; None leaves it to the stylesheet."""
        if lines != self._lines:
            self._lines = lines
            self.styles.height = lines

    def _find_cursor(self, length: int) -> int:
        if not self.rows.cursor:
            return 0
        place = self.rows.position(self.rows.cursor)
        return max(0, min(self._place, length - 1)) if place is None else place

    def _is_left(self, asked: int) -> bool:
        """Tell whether the bound row left the list by itself."""
        gone = self.bound and bool(self.rows.cursor) and self.rows.position(self.rows.cursor) is None
        return gone and asked == self.rows.asked

    def _choose(self, place: int) -> None:
        self._place = place
        if not self._left:
            self.rows.cursor = self.rows.id_at(place) if place or self.bound else ""

    @property
    def key(self) -> str:
        """Return the id of the row under the cursor; "" where there is none."""
        if self.bound:
            return "" if self._left else self.rows.cursor
        return self.rows.id_at(self._place)

    def _fit_to(self, length: int) -> bool:
        """Share the width among the columns; True when it, or the length, is another than before."""
        room = self.room
        wanted = (room, length)
        if wanted == self._layout_of:
            return False
        self._layout_of = wanted
        self.virtual_size = Size(room or self.size.width, length + 1)
        self._fitted = widths(self.columns, room - GUTTER)
        return True

    def on_resize(self, _event: events.Resize) -> None:
        """Share the new width."""
        self._layout_of = (-1, -1)
        self._fit_to(len(self.rows))
        self._keep_in_sight()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        """Return one line of what is seen: the headings, or a row."""
        width = self.size.width
        if y == 0:
            return self._headings(width)
        spans, behind = self._shown[y] = self._said(y)
        return self._strip(spans, width, behind)

    def _said(self, y: int) -> Said:
        """Return what a line below the headings says now."""
        place = self.scroll_offset.y + y - 1
        thing = self.rows.at(place)
        if thing is None:
            return [("  " + self._empty_words(y, self.size.width), "muted")], "base"
        key = self.rows.id_at(place)
        at_cursor = place == self._place and not self._left
        behind = "base" if place % 2 else "zebra"
        if at_cursor:
            behind = "cursor" if self.has_focus else "cursor_idle"
        mark = "▌" if key in self.rows.marks else " "
        spans: list[Span] = [(mark, "wait!"), ("▸" if at_cursor else " ", "accent!")]
        for column, room in self._fitted:
            cell = column.cell(thing, self.paint, self.now, room)
            spans += self._right(cell, room) if column.right else pad(cell, room)
            spans.append((" ", "text"))
        return spans, behind

    def _empty_words(self, y: int, width: int) -> str:
        """Return a line of what stands where there are no rows, all of it: a remedy is its last word."""
        lines = wrap(self.empty, max(20, width - 4)) if not len(self.rows) else []
        return lines[y - 2] if 0 <= y - 2 < len(lines) else ""

    @staticmethod
    def _right(cell: Sequence[Span], room: int) -> list[Span]:
        words = "".join(words for words, _ in cell)
        return [(fit(words, room, right=True), cell[0][1] if cell else "text")]

    def _headings(self, width: int) -> Strip:
        spans: list[Span] = [("  ", "muted")]
        for column, room in self._fitted:
            spans += [(fit(column.title, room, right=column.right), "muted!"), (" ", "muted")]
        return self._strip(spans, width, "bar")

    def _strip(self, spans: Sequence[Span], width: int, behind: str) -> Strip:
        segments = [Segment(self.paint.word(words), self._style(role, behind)) for words, role in joined(spans)]
        return Strip(segments).adjust_cell_length(width, self._style("text", behind))

    def _style(self, role: str, behind: str) -> Style:
        return self.paint.style(role, behind)

    @property
    def room(self) -> int:
        """Return the cells of a line: fewer where there is a scroll bar, which comes and goes by itself."""
        return self.scrollable_content_region.width

    # Moving.

    @property
    def page(self) -> int:
        """Return how many rows are seen at once."""
        return max(1, self.scrollable_content_region.height - 1)

    def _keep_in_sight(self) -> None:
        top, page = self.scroll_offset.y, self.page
        length = len(self.rows)
        wanted = min(max(top, self._place - page + 1), self._place, max(0, length - page))
        if wanted != top:
            self._scroll(wanted)

    def _scroll(self, top: int) -> None:
        """Scroll at once."""
        self.scroll_to(y=top, animate=False)
        self._top = self.scroll_offset.y

    def move_to(self, place: int) -> None:
        """Put the cursor on a row."""
        length = len(self.rows)
        if not length:
            return
        self._left = False
        before = self._place
        self._choose(max(0, min(place, length - 1)))
        self._keep_in_sight()
        for y in {before - self.scroll_offset.y + 1, self._place - self.scroll_offset.y + 1}:
            if 1 <= y < self.size.height:
                self._paint_line(y)
        self.post_message(self.Moved(self))

    def action_list(self, name: str) -> None:
        """Do what a key of lists asks for."""
        place, page, last = self._place, self.page, len(self.rows) - 1
        goals = {
            "down": place + 1,
            "up": place - 1,
            "top": 0,
            "bottom": last,
            "page_down": place + page,
            "page_up": place - page,
        }
        if name == "mark":
            self.rows.mark(self.key)
            self.move_to(place + 1)
        else:
            self.move_to(goals[name])

    def open_row(self) -> None:
        """Tell that the row under the cursor was chosen."""
        if self.key:
            self.post_message(self.Opened(self, self.key))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor, and open the row at a second click on it."""
        place = self.scroll_offset.y + event.y - 1
        if event.y < 1 or place >= len(self.rows):
            return
        if place == self._place and event.chain > 1:
            self.open_row()
        else:
            self.move_to(place)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move with the wheel: the cursor is what keeps its place."""
        event.stop()
        self.move_to(self._place + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move with the wheel."""
        event.stop()
        self.move_to(self._place - 3)

    def on_focus(self) -> None:
        """Show that keys go here."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self.refresh()
