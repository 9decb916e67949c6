"""Why a command does nothing now, for each screen: the footer, the palette and the keys all ask this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.commands import COMMANDS, SPREAD
from fleetroll_tui.convert import need_of
from fleetroll_tui.model import decisions
from fleetroll_tui.model.listing import Listing
from fleetroll_tui.model.recovery import why_not_admit, why_not_end
from fleetroll_tui.model.rights import why_denied

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_tui.model.recovery import Recovery
    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.model.values import Rollout
    from fleetroll_tui.screens.base import ConsoleScreen

_NEEDED = {command.name: need_of(command.rpcs[0]) for command in COMMANDS if command.group == SPREAD}
"""What stops needs nothing here: see :mod:`fleetroll_tui.model.rights`."""
FROZEN = "the view is frozen: z lets it go on"
STALE = "what is shown may be old: wait for the connection"
NO_ROLLOUT = "choose a rollout first"
NO_RELEASE = "choose a release first"


def why_not(screen: ConsoleScreen, name: str) -> str:
    """Return why a command does nothing on a screen now; "" when it works."""
    rule = _RULES.get(name)
    why = rule(screen) if rule is not None else ""
    if not why and name in _NEEDED:
        return why_denied(_NEEDED[name], screen.session.fleet.token)
    return why


def _open(screen: ConsoleScreen) -> str:
    focused = screen.focused
    if focused is None or focused.id in screen.closed or getattr(focused, "open_row", None) is None:
        return "nothing to open here"
    return "" if getattr(focused, "key", "a tile") else "nothing to open here"


def _leave(screen: ConsoleScreen) -> str:
    listing = screen.listing()
    filtered = listing is not None and listing.filter is not None and not listing.filter.empty
    back = screen.console.history.last() is not None
    return "" if filtered or back or screen.large else "this is the first view"


def _last(screen: ConsoleScreen) -> str:
    return "" if screen.console.history.last() is not None else "there was no view before this one"


def _newer(screen: ConsoleScreen) -> str:
    return "" if screen.console.history.has_newer else "this is the newest view"


def _filter(screen: ConsoleScreen) -> str:
    return "" if screen.listing() is not None else "there is no list to filter"


def _sort(screen: ConsoleScreen) -> str:
    return "" if isinstance(screen.listing(), Listing) else "this list has one order"


def _copy(screen: ConsoleScreen) -> str:
    return "" if screen.to_copy() else "nothing to copy here"


def _about(judge: Callable[[ConsoleScreen, Rollout], str], *, spreads: bool) -> Callable[[ConsoleScreen], str]:
    def rule(screen: ConsoleScreen) -> str:
        rollout = screen.rollout()
        if rollout is None:
            return NO_ROLLOUT
        if screen.console.frozen:
            return FROZEN if spreads else ""
        if screen.console.stale:  # what stops is for the server to judge then: somebody else may have continued
            return STALE if spreads else ""
        return judge(screen, rollout)

    return rule


def _continue(screen: ConsoleScreen, rollout: Rollout) -> str:
    return decisions.why_not_continue(rollout, screen.session.fleet.pressed)


def _lift(screen: ConsoleScreen) -> str:
    if screen.switch_to_lift() is None:
        return "no kill switch is pressed"
    return FROZEN if screen.console.frozen else STALE if screen.console.stale else ""


def _release(judge: Callable[[Release], str], *, spreads: bool) -> Callable[[ConsoleScreen], str]:
    def rule(screen: ConsoleScreen) -> str:
        release = screen.release()
        if release is None:
            return NO_RELEASE
        if screen.console.frozen and spreads:
            return FROZEN
        if spreads and screen.console.stale:
            return STALE
        # What is shown may be a minute old: what stops is for the server to judge where it says that all is done.
        return judge(release) if spreads or not screen.console.stale else ""

    return rule


def _recovery(judge: Callable[[Recovery], str]) -> Callable[[ConsoleScreen], str]:
    def rule(screen: ConsoleScreen) -> str:
        if screen.console.frozen:
            return FROZEN
        return STALE if screen.console.stale else judge(screen.console.session.papers.recovery.value)

    return rule


_RULES: dict[str, Callable[[ConsoleScreen], str]] = {
    "open": _open,
    "leave": _leave,
    "last": _last,
    "older": _last,
    "newer": _newer,
    "filter": _filter,
    "sort": _sort,
    "turn": _sort,
    "copy": _copy,
    "pause": _about(lambda _screen, rollout: decisions.why_not_pause(rollout), spreads=False),
    "cancel": _about(lambda _screen, rollout: decisions.why_not_cancel(rollout), spreads=False),
    "advance": _about(lambda _screen, rollout: decisions.why_not_advance(rollout), spreads=True),
    "lift": _lift,
    "admit": _recovery(why_not_admit),
    "end_recovery": _recovery(why_not_end),
    "promote": _release(decisions.why_not_promote, spreads=True),
    "floor": _release(decisions.why_not_floor, spreads=False),
    "yank": _release(lambda release: decisions.why_not_withdraw("yank", release), spreads=False),
    "retire": _release(lambda release: decisions.why_not_withdraw("retire", release), spreads=False),
    "revoke": _release(lambda release: decisions.why_not_withdraw("revoke", release), spreads=False),
    "continue": _about(_continue, spreads=True),
}
