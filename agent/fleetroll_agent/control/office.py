"""What the running agent does for a person on its host: look for releases, update, go back, hold.

Each command ends in an answer or in a typed refusal; nothing here decides what the rules decide.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fleetroll_agent.control import exits
from fleetroll_agent.control.following import Followers, outcome_of
from fleetroll_agent.control.messages import Done
from fleetroll_agent.control.newest import newest
from fleetroll_agent.jobs import local
from fleetroll_agent.jobs.events import CancelledLocally, HoldEnded, HoldSet, StartedLocally
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import PRODUCT, ByHand
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, RequestError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_agent.control.messages import Ask
    from fleetroll_agent.control.server import Talk
    from fleetroll_agent.control.targets import Targets
    from fleetroll_agent.jobs.desk import Desk
    from fleetroll_agent.jobs.state import State
    from fleetroll_agent.jobs.values import Attempt, Outcome
    from fleetroll_common.trust.listing import ListedTarget
    from fleetroll_common.values.clock import Clock


SESSION_SECONDS = 5.0
"""How long a question waits for the server to be there."""
LOOK_SECONDS = 0.1
AGAIN_SECONDS = 0.5


class Office:
    """Serves requests. Implements the handler of :class:`~fleetroll_agent.control.server.ControlServer`."""

    def __init__(
        self,
        desk: Desk,
        targets: Targets,
        clock: Clock,
        renew: Callable[[str], None],
        come: Callable[[], None],
        import_anchors: Callable[[str], Done] | None = None,
    ) -> None:
        """Speak for the products at ``desk``.

        Args:
            desk: of the host.
            targets: what is listed, and on this disk.
            clock: of the host.
            renew: lets the next hello say what a person has decided.
            come: opens a stream now, where this host does not hold one.
            import_anchors: takes anchors from a carried repository; it blocks. None = nobody does that here.
        """
        self._desk = desk
        self._targets = targets
        self._clock = clock
        self._renew = renew
        self._come = come
        self._import_anchors = import_anchors
        self._followers = Followers()

    def happened(self) -> None:
        """Take note that an event has happened."""
        for state in self._desk.states():
            self._followers.happened(state)

    def printed(self, product: str, attempt: Attempt, line: str) -> None:
        """Take a line that a command of an attempt printed."""
        self._followers.printed(product, attempt.local, line)

    async def handle(self, ask: Ask, actor: str, talk: Talk) -> Done:
        """Do what is asked.

        Raises:
            FleetrollError: it is refused, with what is to be done.
        """
        command = _COMMANDS.get(ask.command)
        if command is None:
            text = f"command: {ask.command!r:.60} is not known to this agent"
            raise RequestError(text, code=Code.UNIMPLEMENTED, remedy="update the agent", field="command")
        return await command(self, ask, actor, talk)

    async def check(self, ask: Ask, _actor: str, _talk: Talk) -> Done:
        """Look for newer releases, of one product or of all."""
        found = {name: await self._newest(ask, name) for name in self._named(ask)}
        lines, behind = [], False
        for name, version in found.items():
            running = self._desk.state(name).running.version
            is_newer = version is not None and (not running or Version.parse(running) < version)
            behind = behind or is_newer
            lines.append(f"{name:20} {running or 'none':16} {f'{version} is available' if is_newer else 'is current'}")
        data = {name: None if version is None else str(version) for name, version in found.items()}
        return Done(exits.AVAILABLE if behind else exits.GOOD, "\n".join(lines), {"newest": data})

    async def update(self, ask: Ask, actor: str, talk: Talk) -> Done:
        """Update one product to a version, or to the newest that this host may take."""
        name = self._one(ask)
        state = self._free(name)
        version = Version.parse(ask.version) if ask.version else await self._newest(ask, name)
        running = state.running.version
        is_newer = version is not None and (not running or Version.parse(running) < version)
        if version is None or not (ask.version or is_newer):
            return Done(exits.GOOD, f"{name} is current: {state.running.version or 'none is listed'}")
        return await self._start(ask, name, actor, talk, StartedLocally(str(version), actor, source=ask.source))

    async def rollback(self, ask: Ask, actor: str, talk: Talk) -> Done:
        """Go back to the version before; the server's wishes wait until the hold is over."""
        name = self._one(ask)
        self._free(name)
        version, sha256 = self._targets.previous(name, self._desk.state(name))
        wish = StartedLocally(version, actor, ByHand.ROLLBACK, sha256=sha256)
        return await self._start(ask, name, actor, talk, wish)

    async def restore(self, ask: Ask, actor: str, talk: Talk) -> Done:
        """Restore the data of a backup under the version that runs."""
        name = self._one(ask)
        state = self._free(name)
        current = state.record.current
        backup_id = ask.backup_id or ("" if current is None else current.backup_id)
        if current is None or not backup_id or not self._targets.can_restore(name):
            text = f"{name}: no backup is known, or agent.toml has no restore for it"
            raise RequestError(text, code=Code.NOT_FOUND, remedy="name one with --backup", field="backup_id")
        wish = StartedLocally(current.version, actor, ByHand.RESTORE, sha256=current.sha256, backup_id=backup_id)
        return await self._start(ask, name, actor, talk, wish)

    async def hold(self, ask: Ask, actor: str, _talk: Talk) -> Done:
        """Let the server's assignments wait."""
        name = self._one(ask)
        until = self._clock.now().timestamp() + ask.hold_seconds
        await self._desk.told(name, HoldSet(actor, until, ask.reason))
        self._renew(f"{name} is held on this host")
        return Done(exits.GOOD, f"{name} is held for {ask.hold_seconds / 3600:g} h", {"until": until})

    async def unhold(self, ask: Ask, _actor: str, _talk: Talk) -> Done:
        """Let them come again."""
        name = self._one(ask)
        was = self._desk.state(name).record.override
        await self._desk.told(name, HoldEnded())
        self._renew(f"{name} is held no longer on this host")
        return Done(exits.GOOD, f"{name} is held no longer" if was is not None else f"{name} was not held")

    async def cancel(self, ask: Ask, _actor: str, _talk: Talk) -> Done:
        """End what a person has started here, while that is free."""
        name = self._one(ask)
        await self._desk.told(name, CancelledLocally())
        attempt = self._desk.state(name).record.attempt
        if attempt is not None and attempt.local:
            text = f"{name}: local:{attempt.local} has begun to change this host"
            raise AgentError(text, code=Code.UPDATE_IN_PROGRESS, remedy="wait for its end; then roll back")
        return Done(exits.GOOD, f"{name}: nothing that was started here is going on")

    async def anchors(self, ask: Ask, _actor: str, _talk: Talk) -> Done:
        """Take anchors from a carried repository; the next connection goes by them."""
        if self._import_anchors is None:
            text = "command: this agent takes no anchors"
            raise RequestError(text, code=Code.UNIMPLEMENTED, remedy="update the agent", field="command")
        done = await in_thread(partial(self._import_anchors, ask.source))
        self._come()
        return done

    async def follow(self, ask: Ask, _actor: str, talk: Talk) -> Done:
        """Wait for the end of an attempt that was started here."""
        return await self._followed(self._one(ask), ask.local, talk)

    async def _start(self, ask: Ask, name: str, actor: str, talk: Talk, wish: StartedLocally) -> Done:
        """Bring the wish to the rules, then wait for its end where that is asked for."""
        wish = replace(
            wish,
            soak_seconds=ask.soak_seconds,
            lease_seconds=max(300.0, 2 * ask.soak_seconds),
            retry_bad=ask.retry_bad,
            hold_seconds=ask.hold_seconds,
            reason=ask.reason,
            ticket=uuid.uuid4().hex,
        )
        await self._desk.told(name, wish)
        number = _taken(self._desk.state(name), wish.ticket)
        if not number:
            raise self._busy(name)
        talk.started(number)
        talk.line(f"{name}: attempt local:{number} to {wish.version}, by {actor}")
        if not ask.wait:
            return Done(exits.GOOD, f"started as local:{number}", {"product": name, "local": number})
        return await self._followed(name, number, talk)

    async def _followed(self, name: str, number: int, talk: Talk) -> Done:
        """Pass on what happens until the attempt has ended."""
        follower = self._followers.begin(name, number)
        try:
            outcome = outcome_of(self._desk.state(name), number)
            attempt = self._desk.state(name).record.attempt
            if outcome is None and (attempt is None or attempt.local != number):
                text = f"local: there is no attempt local:{number} of {name}"
                raise RequestError(text, code=Code.NOT_FOUND, remedy="look at: fleetroll-agent history", field="local")
            while outcome is None:
                outcome = await _next(follower.lines, follower.ended, talk)
            while not follower.lines.empty():
                talk.line(follower.lines.get_nowait())
        finally:
            self._followers.end(follower)
        if self._desk.state(name).record.override is not None:
            self._renew(f"{name} is held on this host")
        return _done(name, outcome)

    async def _newest(self, ask: Ask, name: str) -> Version | None:
        """Return the newest release of a product that this host may take."""
        listed = await self._listed(name, ask.source)
        state = self._desk.state(name)
        return newest(listed, state.policy, Platform.current(), state.running.version)

    async def _listed(self, name: str, source: str) -> tuple[ListedTarget, ...]:
        """Return what is listed; a question that fell into the renewal of a session is asked again in the next one."""
        until = self._clock.monotonic() + SESSION_SECONDS
        while True:
            if not source:
                await self._online(until)
            try:
                return await in_thread(partial(self._targets.listed, name, source))
            except FleetrollError as error:
                if source or error.code not in exits.NO_SERVER or self._clock.monotonic() >= until:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)

    async def _online(self, until: float) -> None:
        """Wait a little for a session: one may just be renewed. Without one the question itself fails, with words."""
        self._come()
        while not self._desk.state(PRODUCT).session and self._clock.monotonic() < until:  # noqa: ASYNC110 (short)
            await asyncio.sleep(LOOK_SECONDS)

    def _named(self, ask: Ask) -> tuple[str, ...]:
        return (self._one(ask),) if ask.product else self._desk.products

    def _one(self, ask: Ask) -> str:
        """Return the product that is meant."""
        known = self._desk.products
        name = ask.product or (known[0] if len(known) == 1 else "")
        if name not in known:
            text = f"product: {name!r} is not kept here" if name else "product: several are kept here"
            raise RequestError(text, code=Code.NOT_FOUND, remedy=f"name one of {', '.join(known)}", field="product")
        return name

    def _free(self, name: str) -> State:
        state = self._desk.state(name)
        if local.why_not(state):
            raise self._busy(name)
        return state

    def _busy(self, name: str) -> AgentError:
        text = local.why_not(self._desk.state(name)) or f"{name}: somebody else was faster"
        return AgentError(text, code=Code.UPDATE_IN_PROGRESS, remedy="wait for its end, then try again")


def _taken(state: State, ticket: str) -> int:
    """Return the number under which a request was taken; 0 = somebody else was faster."""
    attempt = state.record.attempt
    if attempt is not None and attempt.ticket == ticket:
        return attempt.local
    return next((known.local for known in reversed(state.record.outcomes) if known.ticket == ticket), 0)


async def _next(lines: asyncio.Queue[str], ended: asyncio.Future[Outcome], talk: Talk) -> Outcome | None:
    """Pass the next line on; the outcome when that comes first."""
    line = asyncio.ensure_future(lines.get())
    either: set[asyncio.Future[Any]] = {line, ended}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if line.done():
            talk.line(line.result())
            return None
        return ended.result()
    finally:
        line.cancel()


def _done(name: str, outcome: Outcome) -> Done:
    """Return the end of an attempt as an answer."""
    said = outcome.said.value.lower().replace("_", " ")
    why = f": {outcome.message}" if outcome.message else ""
    code = f" ({outcome.code})" if outcome.code is not None else ""
    runs = f"; {outcome.running_version} runs" if outcome.running_version else ""
    data: dict[str, Any] = {
        "product": name,
        "local": outcome.local,
        "result": outcome.said.value,
        "code": None if outcome.code is None else outcome.code.value,
        "running_version": outcome.running_version,
    }
    return Done(exits.exit_of(outcome), f"{name} {said}{why}{code}{runs}", data)


_COMMANDS: dict[str, Callable[[Office, Ask, str, Talk], Awaitable[Done]]] = {
    "check": Office.check,
    "update": Office.update,
    "rollback": Office.rollback,
    "restore": Office.restore,
    "hold": Office.hold,
    "unhold": Office.unhold,
    "cancel": Office.cancel,
    "anchors": Office.anchors,
    "follow": Office.follow,
}
