"""What a host refuses by itself, before a byte is fetched: the fleet's wish meets what agent.toml allows.

SKIPPED is no failure: the host was not meant for this. FAILED says that something is wrong with the wish.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetroll_agent.jobs import ruling
from fleetroll_agent.jobs.by_itself import is_persons
from fleetroll_agent.jobs.course import Refusal
from fleetroll_agent.jobs.obstacles import goes_back
from fleetroll_agent.jobs.state import State, running_attempt
from fleetroll_agent.jobs.values import Said
from fleetroll_agent.jobs.work import About
from fleetroll_agent.settings.product import AutoUpdate
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.version import Version
from fleetroll_common.values.windows import longest_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleetroll_agent.jobs.events import TargetFound
    from fleetroll_agent.jobs.policy import Policy
    from fleetroll_agent.jobs.values import Attempt, Moment


PREVIOUS_LEGAL_SECONDS = 7 * 86400.0
"""So long after a change a server may take it back (names.md)."""


def judge(state: State, found: TargetFound, moment: Moment) -> Refusal | None:
    """Return why what the signed metadata lists is not taken here, by anybody's rules; None when it is."""
    return (
        state.course.refusal(state, found)
        or refuse_by_publisher(state, found)
        or refuse_way_down(state, moment)
        or refuse_by_windows(state, moment)
    )


def refuse_by_policy(state: State, about: About | None) -> Refusal | None:
    """Return why agent.toml does not allow the running attempt; None when it does.

    Without ``about`` it is the version before, which is listed no more: channels are of what is listed.
    """
    attempt = running_attempt(state)
    facts = (state.policy, attempt, about or About(), state.running.version)
    rules = tuple(rule for rule in _RULES if about is not None or rule is not _channel)
    return next((refusal for rule in rules if (refusal := rule(*facts)) is not None), None)


def refuse_by_publisher(state: State, found: TargetFound) -> Refusal | None:
    """Return why the product's publisher, or this host's memory of his rules, forbids it; None when nothing does."""
    here = ruling.here_of(state.running.version, state.record.floor)
    version = Version.parse(running_attempt(state).version)
    said = ruling.objection(found.policy, version, found.sha256, here, back=is_way_back(state))
    if said is None:
        return None
    return Refusal(Said.SKIPPED if said.code is Code.BELOW_SUPPORTED else Said.FAILED, said.code, said.message)


def is_way_back(state: State) -> bool:
    """Tell whether a server takes this host back to the version before, which needs no listing."""
    attempt = state.record.attempt
    return attempt is not None and not attempt.local and goes_back(state)


def refuse_bad(state: State, known: str) -> Refusal | None:
    """Return why a digest that failed here is not taken again; ``known`` says how it failed, empty = it did not."""
    if not known:
        return None
    if not running_attempt(state).retry_bad:
        return Refusal(Said.FAILED, Code.BAD_DIGEST, known)
    if not state.policy.retry_bad:
        return Refusal(Said.FAILED, Code.BAD_DIGEST, f"{known}, and agent.toml forbids taking it again")
    return None


def refuse_by_windows(state: State, moment: Moment) -> Refusal | None:
    """Return why the work can't be done in any window: it would wait for ever. None when it can.

    A person on the host is not bound by windows; what the host starts by itself is. A zone that is not known refuses
    nothing: the host waits until that is mended, and says so.
    """
    policy, now = state.policy, datetime.fromtimestamp(moment.wall_seconds, timezone.utc)
    if is_persons(running_attempt(state)):
        return None
    try:
        longest = longest_seconds(policy.windows, now, policy.time_zone)
    except RequestError:
        return None
    if policy.expected_seconds <= longest:
        return None
    text = f"the work takes {policy.expected_seconds:g} s, the longest window has {longest:g} s"
    return _skipped(Code.WINDOW_TOO_SHORT, text)


def refuse_way_down(state: State, moment: Moment) -> Refusal | None:
    """Let no server take this host below what was kept, but to the version before, and that for a while.

    A person on the host may go down to whatever is listed and not below the floor. An age below zero is a clock that
    was set back: it proves nothing.
    """
    attempt = running_attempt(state)
    version, running = Version.parse(attempt.version), ruling.here_of(state.running.version, "").running
    if is_persons(attempt) or running is None or version >= running:
        return None
    if not goes_back(state):
        why = "a server takes a host back only to the version before that is on its disk"
        return Refusal(Said.FAILED, Code.NOT_ALLOWED, f"{version} is below {running}, which runs here: {why}")
    kept = state.record.committed_at
    if kept is not None and moment.wall_seconds - kept <= PREVIOUS_LEGAL_SECONDS:
        return None
    why = "a server takes a host back only within 7 days of the change"
    return Refusal(Said.FAILED, Code.NOT_ALLOWED, f"{version} is the version before {running}: {why}")


def _opted_out(policy: Policy, attempt: Attempt, _about: About, _version: str) -> Refusal | None:
    if policy.auto_update is AutoUpdate.NEVER:
        return _skipped(Code.OPTED_OUT, "agent.toml takes no updates of this product")
    if policy.auto_update is AutoUpdate.ASKED and attempt.automatic:
        return _skipped(Code.NOT_OPTED_IN, "agent.toml takes only updates that a person starts")
    return None


def _in_a_container(policy: Policy, _attempt: Attempt, _about: About, _version: str) -> Refusal | None:
    if not policy.container:
        return None
    text = f"a container ({policy.container}): build a newer image, or set host.containers in agent.toml"
    return _skipped(Code.CONTAINER, text)


def _channel(policy: Policy, attempt: Attempt, about: About, _version: str) -> Refusal | None:
    allowed = policy.allowed_channels
    if allowed is None or set(allowed) & set(about.channels):
        return None
    text = f"{attempt.version} is in {', '.join(about.channels) or 'no channel'}, this host takes {', '.join(allowed)}"
    return _skipped(Code.CHANNEL_NOT_ALLOWED, text)


def _pinned(policy: Policy, attempt: Attempt, _about: About, _version: str) -> Refusal | None:
    if policy.pin is None or policy.pin.admits(Version.parse(attempt.version)):
        return None
    return _skipped(Code.PINNED, f"agent.toml pins {policy.pin}, {attempt.version} is outside")


def _too_old(_policy: Policy, attempt: Attempt, about: About, version: str) -> Refusal | None:
    if not (about.supported_from and version) or Version.parse(version) >= Version.parse(about.supported_from):
        return None
    return _skipped(Code.BELOW_SUPPORTED, f"{attempt.version} updates from {about.supported_from} on, not {version}")


def _skipped(code: Code, message: str) -> Refusal:
    return Refusal(Said.SKIPPED, code, message)


_RULES: tuple[Callable[[Policy, Attempt, About, str], Refusal | None], ...] = (
    _opted_out,
    _in_a_container,
    _channel,
    _pinned,
    _too_old,
)
