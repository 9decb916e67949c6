"""Does the steps of one managed product, and looks at its health. No rule is decided here."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_agent.hooks.backup_id import backup_id_file, read_backup_id
from fleetroll_agent.hooks.gate import spawn
from fleetroll_agent.hooks.health import probe, unit_tail
from fleetroll_agent.hooks.output import AttemptLog
from fleetroll_agent.hooks.run import last_words, run_hook, run_small
from fleetroll_agent.hooks.scope import Scope, read_facts, scope_name
from fleetroll_agent.hooks.specs import CommandHealth, Health
from fleetroll_agent.hooks.variables import HookFacts, environment
from fleetroll_agent.jobs.events import Probed, StepEnded
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.values import Attempt, Step
from fleetroll_agent.products.changes import about_of, number_of, work_of
from fleetroll_agent.products.places import Places, no_way
from fleetroll_agent.products.recipes import command_of
from fleetroll_agent.products.specs import spec_of
from fleetroll_agent.settings.product import Kind
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_agent.hooks.run import HookResult
    from fleetroll_agent.jobs.effects import Probe, RunStep
    from fleetroll_agent.jobs.work import Child
    from fleetroll_agent.products.recipe import Recipe
    from fleetroll_agent.settings.product import Argv, Product
    from fleetroll_common.values.clock import Clock

    Started = Callable[[Child], Awaitable[None]]
    OnLine = Callable[[Attempt, str], None]

log = structlog.get_logger(__name__)

_FROM_OUTSIDE = frozenset({9, 15, 2, 1})
"""SIGKILL, SIGTERM, SIGINT, SIGHUP: a host without memory, or one that is shut down. Crashes have others."""
_DID_NOT_START = frozenset({Step.RESTART, Step.RESTART_BACK})


class Doer:
    """One product's hands on the host."""

    def __init__(
        self, folder: Path, product: Product, recipe: Recipe, places: Places, agent_id: str, clock: Clock
    ) -> None:
        """Work for ``product``; outputs go below the state folder ``folder``."""
        self._folder = folder
        self._product = product
        self._recipe = recipe
        self._places = places
        self._agent_id = agent_id
        self._clock = clock
        self._scopes = read_facts()
        self._runs = 0

    async def step(self, effect: RunStep, started: Started, on_line: OnLine) -> StepEnded:
        """Do the step of ``effect.attempt``; ``started`` returns when the process is written down."""
        begun, name = self._clock.monotonic(), "-" if effect.attempt.step is None else effect.attempt.step.value
        kept = await self._kept(effect.attempt)
        kept.add(name, "[begins]")
        ended = await self._step(effect, started, on_line)
        how = "done" if ended.code is None else f"{ended.code}: {ended.message}"
        kept.add(name, f"[{how}, after {self._clock.monotonic() - begun:.1f} s]")
        return ended

    async def _step(self, effect: RunStep, started: Started, on_line: OnLine) -> StepEnded:
        attempt = effect.attempt
        step = attempt.step
        try:
            if step is None:
                raise no_way("none")
            argv = command_of(self._product, step)
            if argv is not None:
                return await self._command(effect, step, argv, started, on_line)
            await in_thread(partial(self._own, attempt, step))
        except FleetrollError as error:
            return StepEnded(effect.job, error.code, str(error), by_itself=False)
        except OSError as error:
            return StepEnded(effect.job, Code.STEP_FAILED, f"{step}: the host refused: {error}", by_itself=False)
        return StepEnded(effect.job)

    async def probe(self, effect: Probe, started: Started) -> Probed:
        """Look once. Whatever goes wrong in asking is an answer: not healthy.

        ``started`` returns when a command of agent.toml is written down: it may hang, and outlive this process. What is
        asked of the service manager changes nothing and ends by itself.
        """
        attempt = effect.attempt
        health = await self._asked(attempt, started)
        tail = ""
        if not health.healthy and self._product.unit:
            tail = await unit_tail(self._product.unit, self._environment(attempt), self._product.redact)
        return Probed(effect.job, health.healthy, health.message, health.version, tail)

    async def _asked(self, attempt: Attempt, started: Started) -> Health:
        environ = self._environment(attempt)
        spec = spec_of(self._product)
        if spec is None:
            return await in_thread(partial(self._is_switched, attempt))
        journaled = started if isinstance(spec, CommandHealth) else None
        health = await probe(spec, environ, self._product.redact, journaled)
        if health.healthy and not health.version and self._product.kind is Kind.COMMAND:
            return await self._with_version(health, environ, started)
        return health

    async def _with_version(self, health: Health, environ: dict[str, str], started: Started) -> Health:
        """Ask what runs, where a product of commands has a command for that."""
        argv = self._product.hooks.version
        if argv is None:
            return health
        try:
            limit = self._recipe.limit_seconds(Step.CHECK)
            user, redact = self._product.user or "", self._product.redact
            said = await run_small(argv, environ, Path("/"), user, limit, redact, started)
        except (AgentError, OSError) as error:
            return Health(healthy=False, message=f"its version could not be asked: {error}")
        if not said.ok:
            return Health(healthy=False, message=f"its version could not be asked: {said.words}")
        return Health(healthy=True, message=health.message, version=said.last_line.strip())

    def _is_switched(self, attempt: Attempt) -> Health:
        """Return what stands in for health where agent.toml asks for none: the switch is as it was made."""
        work = work_of(attempt)
        version, sha256 = (
            (work.from_version, work.from_sha256) if work.going_back else (attempt.version, attempt.sha256)
        )
        try:
            switched = self._places.is_switched(version, sha256)
        except (FleetrollError, OSError) as error:
            return Health(healthy=False, message=str(error))
        return Health(healthy=switched, message="" if switched else "somebody changed what was switched")

    def _own(self, attempt: Attempt, step: Step) -> None:
        """Do a step that needs no command."""
        work = work_of(attempt)
        if step is Step.SWITCH:
            self._places.switch(attempt)
        elif step is Step.SWITCH_BACK:
            self._places.switch_back(attempt, work.from_version, work.from_sha256)
        else:
            raise no_way(step.value)

    async def _command(self, effect: RunStep, step: Step, argv: Argv, started: Started, on_line: OnLine) -> StepEnded:
        attempt = effect.attempt
        if step is Step.CHECK:
            await in_thread(partial(self._places.checked, attempt.version, attempt.sha256))
        if step is not Step.BACKUP:
            result = await self._run(attempt, step, argv, started, on_line, "")
            return await self._ended(effect, step, result, result.last_line.strip() if step is Step.CHECK else "")
        await in_thread(self._places.require_backup_room)
        with backup_id_file(self._product.user or "") as path:
            result = await self._run(attempt, step, argv, started, on_line, str(path))
            value = await in_thread(partial(read_backup_id, result, path)) if result.ok else ""
        return await self._ended(effect, step, result, value)

    async def _run(
        self, attempt: Attempt, step: Step, argv: Argv, started: Started, on_line: OnLine, backup_file: str
    ) -> HookResult:
        """Run one command: behind its gate until it is written down, in its own scope, with its output kept."""
        self._runs += 1
        scope = Scope(
            scope_name(self._product.name, number_of(attempt), step.value, f"{os.getpid()}-{self._runs}"), self._scopes
        )
        environ = self._environment(attempt, backup_file)
        gated = await spawn(argv, environ, Path("/"), self._product.user or "", scope)
        kept = await self._kept(attempt)

        def line(text: str) -> None:
            kept.add(step.value, text)
            on_line(attempt, f"{step.value}: {text}")

        try:
            await started(gated.child)
        except BaseException:
            await gated.abandon()
            raise
        return await run_hook(gated, self._recipe.limit_seconds(step), line, self._product.redact)

    async def _kept(self, attempt: Attempt) -> AttemptLog:
        """Return the attempt's log: what its steps print, and that they began and ended."""
        return await asyncio.to_thread(AttemptLog, self._folder, self._product.name, number_of(attempt), self._clock)

    async def _ended(self, effect: RunStep, step: Step, result: HookResult, value: str) -> StepEnded:
        if result.ok:
            return StepEnded(effect.job, value=value)
        tail = result.tail
        if step in _DID_NOT_START and self._product.unit:
            tail = await unit_tail(self._product.unit, self._environment(effect.attempt), self._product.redact) or tail
        code = Code.START_FAILED if step in _DID_NOT_START else Code.STEP_FAILED
        said = last_words(tail)
        text = f"the step {step.value} failed: {result.words}{f'; it said: {said}' if said else ''}"
        by_itself = result.timed_out or result.signal not in _FROM_OUTSIDE
        return StepEnded(effect.job, code, text, tail, by_itself=by_itself)

    def _environment(self, attempt: Attempt, backup_file: str = "") -> dict[str, str]:
        about, work = about_of(attempt), work_of(attempt)
        version, sha256 = attempt.version, attempt.sha256
        slot = self._places.slot_path(work.from_version, work.from_sha256) if work.going_back else ""
        facts: dict[str, Any] = {
            "product": self._product.name,
            "version": work.left_version or version,
            "from_version": work.from_version,
            "sha": about.git_sha,
            "channel": self._channel(about.channels),
            "migrations_required": about.migrations_required,
            "breaking_changes": about.breaking_changes or None,
            "attempt": f"{self._agent_id}/{self._product.name}/{number_of(attempt)}",
            "slot": slot if work.going_back else self._places.slot_path(version, sha256),
            "backup_id": work.backup_id,
            "step": "" if attempt.step is None else attempt.step.value,
        }
        return environment(HookFacts(**facts), os.environ, backup_file)

    def _channel(self, channels: tuple[str, ...]) -> str:
        """Return the channel that the version came by: the first that the host allows."""
        allowed = self._product.allowed_channels
        return next((name for name in channels if allowed is None or name in allowed), "")
