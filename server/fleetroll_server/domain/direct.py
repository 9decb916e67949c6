"""One host now: what refuses a person who means a single host, by the codes that answer him.

The rules, in the order in which a person wants to hear them, are those of any rollout. What they would let wait is
refused here: whoever asks for one host now is told that it is not now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.turn import Presence

if TYPE_CHECKING:
    from fleetroll_server.domain.eligible import Objection

NOT_AFTER_SECONDS = 3600.0
"""So long the host may wait for Go: what a person wants now does not come about tomorrow."""
_REMEDIES = {
    Code.ALREADY_UP_TO_DATE: "nothing is to be done",
    Code.NO_ARTIFACT: "publish one for its platform",
    Code.BELOW_SUPPORTED: "update it to that first",
    Code.BELOW_FLOOR: "update it instead",
    Code.HOST_REVOKED: "enroll the host again",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a host stands to whoever means it now.

    Attributes:
        name: the host's.
        running: what it runs of the product; empty for nothing.
        presence: whether it can be spoken to.
        quarantined: its identity is.
        held: a person on the host holds it, as far as the server was told.
        attempt_id: the attempt of the product that goes on there; empty for none.
        rollout_id: the rollout that steers that one; empty for one that was started on the host.
    """

    name: str
    running: str
    presence: Presence
    quarantined: bool = False
    held: bool = False
    attempt_id: str = ""
    rollout_id: str = ""


def require_free(host: Standing) -> None:
    """Return when the host can be spoken to, and nobody else is at it.

    Raises:
        RequestError: HOST_OFFLINE, QUARANTINED, HELD or UPDATE_IN_PROGRESS (caller's fault).
    """
    if host.presence is not Presence.HERE:
        checks_in = host.presence is Presence.CHECKS_IN
        why = "checks in from time to time, and is not there now" if checks_in else "has no live session"
        remedy = "start a rollout for it: that one waits"
        raise refusal(Code.HOST_OFFLINE, f"{host.name} {why}", remedy, version=host.running)
    if host.quarantined:
        raise refusal(Code.QUARANTINED, f"{host.name}: its identity is quarantined", "readmit it first")
    if host.held:
        message = f"a person on {host.name} holds the product"
        raise refusal(Code.HELD, message, "end the hold on the host: fleetroll-agent unhold", version=host.running)
    if host.attempt_id:
        by = f" by rollout {host.rollout_id}" if host.rollout_id else ", started on the host"
        message = f"{host.name}: attempt {host.attempt_id} goes on{by}"
        details = {"attempt": host.attempt_id, "rollout": host.rollout_id}
        raise refusal(Code.UPDATE_IN_PROGRESS, message, "wait for its end, or cancel its rollout", **details)


def refuse(host: Standing, found: Objection) -> RequestError:
    """Return the refusal of a host that can't take the release at all."""
    code = Code.ALREADY_UP_TO_DATE if found.code is Code.ALREADY_AT_TARGET else found.code
    remedy = _REMEDIES.get(code, "choose another version, or another host")
    return refusal(code, found.message, remedy, version=host.running)


def refusal(code: Code, message: str, remedy: str, **details: str) -> RequestError:
    """Return a refusal; empty details are left out."""
    said = {name: value for name, value in details.items() if value}
    return RequestError(f"agent: {message}", code=code, remedy=remedy, field="agent", **said)
