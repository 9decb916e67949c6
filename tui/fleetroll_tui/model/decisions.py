"""Which decisions a rollout takes now, and why it does not take the others. The server has the last word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_tui.model.releases import LISTED, RETIRED, REVOKED, YANKED
from fleetroll_tui.model.values import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fleetroll_tui.model.releases import Release
    from fleetroll_tui.model.values import Rollout, Switch

GLOBAL = "global"
"""The scope of the kill switch of all fleets; the others are "fleet/" and the fleet's id."""
MENDED_BY_A_PERSON = frozenset({"PAUSED", "SUSPENDED", "INTERNAL"})
"""Why late hosts stopped, where a person can let them go on."""


def name_of(rollout: Rollout) -> str:
    """Return what people call a rollout."""
    return f"{rollout.product}-{rollout.version}"


def why_not_pause(rollout: Rollout) -> str:
    """Return why it can't be paused; "" when it can."""
    if rollout.state == "completed":
        going = rollout.late is not None and rollout.late.left > 0 and rollout.late.stopped is None
        return "" if going else "it has completed"
    if rollout.ended:
        return f"it is {_words(rollout)}"
    return f"it is {_words(rollout)} already" if rollout.state in {"paused", "halted"} else ""


def why_not_continue(rollout: Rollout, pressed: Iterable[Switch]) -> str:
    """Return why it can't go on; "" when it can."""
    for switch in pressed:
        if switch.scope in {GLOBAL, f"fleet/{rollout.fleet_id}"}:
            return f"the kill switch {switch.scope} is pressed: L lifts it"
    if rollout.state == "completed" and rollout.late is not None and rollout.late.stopped is not None:
        code = rollout.late.stopped.code
        return "" if code in MENDED_BY_A_PERSON else f"its late hosts were stopped for good: {code}"
    return "" if rollout.state in {"paused", "halted"} else f"it is {_words(rollout)}: nothing to continue"


def switch_to_lift(pressed: Iterable[Switch], fleet_id: str = "") -> Switch | None:
    """Return the kill switch that is lifted first: the fleet's own, then the one of all fleets; None for none."""
    order = {f"fleet/{fleet_id}": 0, GLOBAL: 1}
    return min(pressed, key=lambda each: (order.get(each.scope, 2), each.scope), default=None)


def why_not_advance(rollout: Rollout) -> str:
    """Return why no wave can be opened; "" when one waits for a person.

    A paused one may hold a wave whose gate can't tell; only the server knows, so that is asked of it.
    """
    wave = rollout.wave
    if rollout.state == "paused" and wave is not None and wave.state in {"open", "baking"}:
        return "" if _ended_all(wave.counts) else "it is paused: continue it"
    if rollout.state != "running":
        return f"it is {_words(rollout)}"
    waits = wave is not None and wave.state == "awaiting_approval"
    return "" if waits else "no wave waits for you"


def why_not_cancel(rollout: Rollout) -> str:
    """Return why it can't be cancelled; "" when it can."""
    if rollout.state == "completed":
        return "" if rollout.late is not None and rollout.late.left > 0 else "it has completed"
    return f"it is {_words(rollout)}" if rollout.ended else ""


def why_not_promote(release: Release) -> str:
    """Return why a release's channels can't be changed; "" when they can."""
    return "" if release.state == LISTED else f"it is {release.state}"


def why_not_floor(release: Release) -> str:
    """Return why a version can't be the floor; "" when it can."""
    return "" if release.state == LISTED else f"it is {release.state}: no host could take it"


def why_not_withdraw(verb: str, release: Release) -> str:
    """Return why a release can't be yanked, retired or revoked; "" when it can.

    What is yanked or retired can be revoked still: that its bytes must not run says more.
    """
    if release.state == REVOKED or (verb != "revoke" and release.state in {YANKED, RETIRED}):
        return f"it is {release.state} already"
    return ""


def waits_for_person(rollout: Rollout) -> str:
    """Return what a rollout waits for from a person; "" for nothing."""
    wave = rollout.wave
    if rollout.state == "halted":
        return "halted: continue or cancel"
    if rollout.state == "paused":
        return "paused: continue or cancel"
    if rollout.state == "awaiting_approval":
        return "awaits approval"
    if rollout.state == "running" and wave is not None and wave.state == "awaiting_approval":
        return f"wave {wave.number} waits to be opened"
    if rollout.late is not None and rollout.late.stopped is not None:
        return "late hosts stopped" if rollout.late.stopped.code in MENDED_BY_A_PERSON else ""
    return ""


def _ended_all(counts: dict[str, int]) -> bool:
    return not any(hosts for state, hosts in counts.items() if state in ACTIVE or state in {"", "pending"})


def _words(rollout: Rollout) -> str:
    return rollout.state.replace("_", " ")
