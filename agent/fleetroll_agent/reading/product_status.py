"""One product as ``status`` shows it: values, then lines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleetroll_agent.jobs.ruling import notes
from fleetroll_agent.jobs.values import PRODUCT
from fleetroll_agent.reading.history import actor, attempt_id
from fleetroll_agent.reading.instants import instant, span
from fleetroll_agent.reading.openings import ALWAYS

if TYPE_CHECKING:
    from fleetroll_agent.jobs.overrides import Override
    from fleetroll_agent.jobs.values import Attempt, Outcome, ProductRecord
    from fleetroll_agent.launcher.values import Record
    from fleetroll_agent.settings import Product


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of one product.

    Attributes:
        product: as agent.toml has it, or its defaults.
        record: of its attempts.
        fault: why the record can't be believed; empty = it can.
        boot: the launcher's record, which says what the agent itself is; None = there is none.
        next_window: in words.
        now: Unix seconds.
    """

    product: Product
    record: ProductRecord
    fault: str
    boot: Record | None
    next_window: str
    now: float


def product_status(known: Sources) -> dict[str, Any]:
    """Return a product as plain JSON values; instants are RFC 3339."""
    record, last = known.record, known.record.outcomes[-1] if known.record.outcomes else None
    override = record.override if record.override is not None and record.override.stands(known.now) else None
    return {
        "product": known.product.name,
        "kind": known.product.kind.value,
        **_versions(known),
        "attempt": None if record.attempt is None else _attempt(record.attempt),
        "waiting": None if record.waiting is None else _attempt(record.waiting),
        "override": None if override is None else _override(override, known.now),
        "last": None if last is None else _last(last),
        "auto_update": known.product.auto_update.value,
        "next_window": known.next_window,
        "against": _against(known),
        "record_fault": known.fault or None,
    }


def product_lines(said: dict[str, Any]) -> list[str]:
    """Return a managed product as lines for people."""
    name = said["product"]
    return [f"{name:9} {_versions_line(said)}", *_more_lines(said, name, "attempt", "last")]


def agent_lines(said: dict[str, Any]) -> list[str]:
    """Return what of the agent itself is said beside its versions and attempts."""
    return _more_lines(said, "agent")


def _more_lines(said: dict[str, Any], name: str, *parts: str) -> list[str]:
    lines = []
    attempt, last, override = said["attempt"], said["last"], said["override"]
    if attempt is not None and "attempt" in parts:
        step = f" ({attempt['step']})" if attempt["step"] else ""
        lines.append(f"  attempt {attempt['id']} to {attempt['version']}: {attempt['stage']}{step}")
    if said["waiting"] is not None and "attempt" in parts:
        lines.append(f"  waiting {said['waiting']['id']} to {said['waiting']['version']}")
    if override is not None:
        why = f": {override['reason']}" if override["reason"] else ""
        lines.append(f"  {name} held: {override['kind']} by {override['actor']} until {override['until']}{why}")
    if last is not None and "last" in parts:
        why = f": {last['code']} {last['message']}".rstrip() if last["code"] else ""
        lines.append(f"  last    {last['id']} to {last['version']} {last['result'].lower()}{why} ({last['ended_at']})")
    if said["next_window"] != ALWAYS:
        lines.append(f"  {name} window: {said['next_window']}")
    lines += [f"  {name} {note['code']}: {note['message']}" for note in said["against"]]
    if said["record_fault"]:
        lines.append(f"  {name} record: {said['record_fault']}")
    return lines


def _versions_line(said: dict[str, Any]) -> str:
    if said["installed"] is None:
        return "nothing that is known is installed"
    before = "" if said["previous"] is None else f" (before: {said['previous']['version']})"
    return f"{said['installed']['version']}{before}"


def _versions(known: Sources) -> dict[str, Any]:
    """Return what is installed: by the launcher's record for the agent, else by the product's."""
    if known.product.name != PRODUCT:
        current, previous = known.record.current, known.record.previous
        return {"installed": _one(current, "sha256"), "previous": _one(previous, "sha256"), "trial": None}
    boot = known.boot
    if boot is None:
        return {"installed": None, "previous": None, "trial": None}
    trial = None if boot.trial is None else boot.trial.slot
    return {name: _one(slot, "digest") for name, slot in _named(boot.current, boot.previous, trial)}


def _against(known: Sources) -> list[dict[str, str]]:
    """Return what the publisher holds against what runs, as far as this host has seen."""
    installed = _versions(known)["installed"]
    said = () if installed is None else notes(known.record, installed["version"], installed["sha256"])
    return [{"code": note.code.value, "message": note.message} for note in said]


def _named(*slots: object) -> tuple[tuple[str, object], ...]:
    return tuple(zip(("installed", "previous", "trial"), slots, strict=True))


def _one(found: Any, digest: str) -> dict[str, str] | None:  # noqa: ANN401 (a slot, or what is installed)
    return None if found is None else {"version": found.version, "sha256": getattr(found, digest)}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt_id(attempt),
        "version": attempt.version,
        "stage": attempt.stage.value,
        "step": None if attempt.step is None else attempt.step.value,
        "tries": attempt.tries,
        "by_hand": attempt.by_hand.value or None,
        "actor": attempt.actor or ("local" if attempt.local else "server"),
    }


def _override(override: Override, now: float) -> dict[str, Any]:
    return {
        "kind": override.kind.value,
        "actor": override.actor,
        "since": instant(override.since),
        "until": instant(override.until),
        "left": span(override.until - now),
        "reason": override.reason,
    }


def _last(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": attempt_id(outcome),
        "version": outcome.version,
        "result": outcome.said.value,
        "code": None if outcome.code is None else outcome.code.value,
        "message": outcome.message,
        "running_version": outcome.running_version,
        "ended_at": instant(outcome.ended_at),
        "actor": actor(outcome),
    }
