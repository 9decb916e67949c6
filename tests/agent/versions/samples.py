"""Values with every field set, of whichever version of the agent is imported: it takes the fields that it knows."""

from __future__ import annotations

from dataclasses import asdict, fields
from enum import Enum
from typing import Any

from fleetroll_agent.identity.facts import Enrolment, WelcomeReceipt
from fleetroll_agent.jobs.overrides import Override, OverrideKind
from fleetroll_agent.jobs.values import Attempt, ByHand, Outcome, ProductRecord, Report, Said, Stage, Step, Stop
from fleetroll_agent.jobs.work import About, Child, Installed, Work
from fleetroll_common.values.codes import Code

OLD, NEW = "a" * 64, "b" * 64
PRODUCT = "shop"
ABOUT = {
    "channels": ("stable", "beta"),
    "git_sha": "abc1234",
    "migrations_required": True,
    "breaking_changes": "the port",
    "supported_from": "0.9.0",
    "fresh": True,
}
WORK = {
    "from_version": "1.0.0",
    "from_sha256": OLD,
    "pulled": True,
    "migrated": True,
    "switched": True,
    "backup_id": "backup-1",
    "tries": 2,
    "going_back": True,
    "code": Code.STEP_FAILED,
    "message": "words",
    "output_tail": "a tail",
    "unproven": True,
    "back_failed": "restore: no",
    "child": Child(4711, 99, "boot"),
    "left_version": "0.9.0",
    "paused": True,
    "cuts": 2,
}
ATTEMPT = {
    "generation": 7,
    "version": "1.1.0",
    "soak_seconds": 61.0,
    "lease_seconds": 301.0,
    "retry_bad": True,
    "excused": True,
    "max_attempts": 4,
    "stage": Stage.SOAKING,
    "step": Step.HEALTH,
    "sha256": NEW,
    "tries": 1,
    "stop": Stop.RECALL,
    "stop_code": Code.KILLED,
    "promoted": True,
    "local": 5,
    "by_hand": ByHand.ROLLBACK,
    "source": "/media/bundle",
    "backup_id": "backup-0",
    "reason": "why",
    "hold_seconds": 60.0,
    "ticket": "ticket",
    "override_local": True,
    "automatic": True,
    "refused": Code.PAUSED,
    "actor": "root",
}
ENDED = {
    "sha256": NEW,
    "code": Code.HEALTH_FAILED,
    "message": "words",
    "running_version": "1.0.0",
    "unproven": True,
    "committed_locally": True,
    "local": 3,
}
REPORT = {
    **ENDED,
    "number": 12,
    "occurred_at": 1000.5,
    "generation": 6,
    "said": Said.ROLLED_BACK,
    "step": "health_back",
    "output_tail": "a tail",
    "time_limit_seconds": 60.0,
    "retry_at": 2000.0,
}
OUTCOME = {
    **ENDED,
    "number": 12,
    "generation": 6,
    "version": "1.1.0",
    "said": Said.ROLLED_BACK,
    "ended_at": 1000.5,
    "acked_at": 1001.0,
    "actor": "root",
    "ticket": "ticket",
}
ANSWER = {
    "agent_id": "agent-1",
    "fleet_id": "fleet-1",
    "addresses": ("a:1", "b:2"),
    "incarnation": "inc-1",
    "labels": {"site": "x"},
    "receipt": b"receipt",
    "receipt_mac": b"m" * 32,
    "root": b"{}",
}
ANCHORS: dict[str, Any] = {"serial": 4, "addresses": ("c:3", "b:2")}
"""With a certificate of the test's own: which value they make, an earlier version does not know."""
RECEIPT = WelcomeReceipt("inc-1", 9, b"w" * 32)


def known(kind: type, facts: dict[str, Any]) -> Any:
    """Return a value of ``kind`` with those of ``facts`` that this version knows."""
    return kind(**{field.name: facts[field.name] for field in fields(kind) if field.name in facts})


def record(**more: Any) -> ProductRecord:
    """Return a product's record with every field set; ``more`` are those of a later version."""
    attempt = {**ATTEMPT, "about": known(About, ABOUT), "work": known(Work, WORK)}
    facts = {
        "product": PRODUCT,
        "highest": 7,
        "attempt": known(Attempt, attempt),
        "waiting": known(Attempt, {**ATTEMPT, "generation": 6, "stage": Stage.ACCEPTED, "local": 0}),
        "outcomes": (known(Outcome, OUTCOME),),
        "bad": ("c" * 64,),
        "settled": ("server:6",),
        "reports": 12,
        "outbox": (known(Report, REPORT),),
        "current": Installed("1.0.0", OLD, "backup-0", migrated=True),
        "previous": Installed("0.9.0", "d" * 64, "backup-9", migrated=True),
        "started_at": 999.5,
        "locals": 5,
        "override": Override(OverrideKind.ROLLBACK, "root", 6, 3e9, "why", 999.0),
        "broken": True,
        **more,
    }
    return known(ProductRecord, facts)  # type: ignore[no-any-return]


def answer(ca_pem: bytes) -> Enrolment:
    """Return the answer to an enrolment."""
    return known(Enrolment, {**ANSWER, "ca_pem": ca_pem})  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """Return a value as what JSON has, to be compared across versions."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    return plain(asdict(value)) if hasattr(value, "__dataclass_fields__") else value
