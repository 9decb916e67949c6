"""One key at a time: what is typed before the screen has caught up goes where it was meant to go.

The framework hands a key to what has the focus now, and a key that opens a filter, a dialog or another screen moves the
focus some turns of the loop later. Keys that come in between would go to the old place: letters of a filter would be
commands there. So the next key waits until the one before has done all of its work.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from textual.app import App
from textual.events import Key, Paste
from textual.message import Message

if TYPE_CHECKING:
    from textual.events import Event
    from textual.timer import Timer

ROUNDS = 3
"""How often a marker follows a key up to the app: the key, what it made a widget say, what that made the widget around
it say. An input in the filter needs all three."""
AGAIN_SECONDS = 0.1
"""After this time without a marker it is sent again: what it went through may have left the screen."""
SOON_SECONDS = 0.005
"""How soon a screen that is being made is asked again."""
LONGEST_SECONDS = 3.0
"""How long a key may take before the next one goes on without it: keys are slow then, and never lost."""
FIRST_SECONDS = 0.1
"""So long anything else waits for the keys that are under way; then it has its time, :data:`NEWS_SECONDS`, before it
waits again: whoever holds a key down keeps no news out."""
NEWS_SECONDS = 0.1
MOST_HELD = 256
"""How many keys are held; a paste that is longer than that is no typing, its rest is dropped."""
LEAVES = "ctrl+c"
"""The key that waits for no other: whatever was typed, it gets out at once."""


class Followed(Message):
    """A marker that goes the way of a key, behind it."""

    def __init__(self, lap: tuple[int, int]) -> None:
        """Follow a key: its number, and the round."""
        super().__init__()
        self.lap = lap


class OneKeyAtATime(App[int]):
    """An app whose keys wait for each other."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__()
        self._held: deque[Key | Paste] = deque()
        self._none = asyncio.Event()
        self._none.set()
        self._news_until = 0.0
        self._lap = (0, 0)
        self._watchdog: Timer | None = None

    @property
    def typed_ahead(self) -> int:
        """Return how many keys are not done yet."""
        return len(self._held) + (self._watchdog is not None)

    @property
    def news_wait(self) -> bool:
        """Tell whether what comes in waits for keys: until they are done, and painted."""
        return not self._none.is_set()

    async def on_event(self, event: Event) -> None:
        """Let a key, or what is pasted, in when the one before is done; everything else at once."""
        leaves = isinstance(event, Key) and event.key == LEAVES
        if leaves:
            self._held.clear()
        if not isinstance(event, Key | Paste) or event.is_forwarded or leaves:
            await super().on_event(event)
        elif self._watchdog is None:
            await self._let_in(event)
        elif len(self._held) < MOST_HELD:
            self._held.append(event)

    async def keys_first(self) -> None:
        """Give the loop its turn, until the keys that came are done and painted, :data:`FIRST_SECONDS` at most.

        Whoever waited in vain has :data:`NEWS_SECONDS` in which nothing waits.
        """
        if self._none.is_set() or monotonic() < self._news_until:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self._none.wait()
        except TimeoutError:
            self._news_until = monotonic() + NEWS_SECONDS

    async def _let_in(self, key: Key | Paste) -> None:
        self._none.clear()
        self._lap = (self._lap[0] + 1, 0)
        until = self._lap[0], monotonic() + LONGEST_SECONDS
        self._watchdog = self.set_interval(AGAIN_SECONDS, lambda: self._look_after(*until))
        await super().on_event(key)
        self._follow()

    async def _look_after(self, number: int, until: float) -> None:
        if number == self._lap[0] and monotonic() > until:
            await self._next(number)
        elif number == self._lap[0]:
            self._follow()

    def _follow(self) -> None:
        if self.screen_stack:
            (self.focused or self.screen).post_message(Followed(self._lap))

    def on_followed(self, event: Followed) -> None:
        """Follow the key once more, or let the next one in: behind the calls that it left for later."""
        if event.lap == self._lap and self._watchdog is not None:
            self.end_lap()

    def end_lap(self) -> None:
        """End one round of a key."""
        number, lap = self._lap
        self._lap = number, lap + 1
        if lap < ROUNDS:
            self.call_later(self._follow)
        elif self.takes_keys():
            self.call_later(self._next, number)
        else:
            self.set_timer(SOON_SECONDS, self._follow)

    def takes_keys(self) -> bool:
        """Tell whether what is in front can be told something: a new screen is still being made when it comes."""
        return self.screen.is_mounted

    async def _next(self, number: int) -> None:
        """Let the next key in when this one is done; one that was given up before ends no other."""
        if number != self._lap[0] or self._watchdog is None:
            return
        self._watchdog.stop()
        self._watchdog = None
        if self._held:
            await self._let_in(self._held.popleft())
        else:
            self.call_after_refresh(self._painted, number)

    def _painted(self, number: int) -> None:
        if number == self._lap[0]:
            self._none.set()
