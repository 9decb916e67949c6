"""The record of the anchors that this host goes by, and what follows from newer ones. Pure.

The record is the truth; ``agent.json`` and ``ca.pem`` are brought to the same, so that an earlier version of the agent
to which this host goes back finds its server too, and so that a damaged record costs nothing: what is fallen back to is
as new as the record was, never what enrolment gave long ago. A server that was stolen since stays refused.

The mark in ``agent.json`` says that the record belongs to it. A readmission writes that file anew, without the mark:
the join string of a person on the host is the newer word then, until the next refresh.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleetroll_agent.identity.facts import KeptAnchors
from fleetroll_common.values.anchors import MAX_ANCHORS, Anchors, address_fault
from fleetroll_common.values.errors import FleetrollError

if TYPE_CHECKING:
    from fleetroll_agent.identity.facts import Enrolment
    from fleetroll_common.values.anchors import SignedAnchors

MARK = "anchored"


def anchors_record(kept: KeptAnchors) -> dict[str, Any]:
    """Return the record."""
    return {**kept.anchors.to_json(), "former": list(kept.former), "keys": kept.keys}


def read_anchors_record(record: dict[str, Any]) -> KeptAnchors | None:
    """Read :func:`anchors_record`; None when it is none, or of a form that this version does not know."""
    try:
        anchors = Anchors.from_json(record)
        former = tuple(str(address) for address in record["former"])
        keys = str(record.get("keys", ""))
    except (FleetrollError, KeyError, TypeError):
        return None
    return None if any(map(address_fault, former)) else KeptAnchors(anchors, former[:MAX_ANCHORS], keys)


def is_news(signed: SignedAnchors, kept: KeptAnchors | None) -> bool:
    """Tell whether verified anchors follow ``kept``, or stand on other keys.

    Other keys are those of a newer root: what it says of where to go counts, however high a serial the keys before had
    reached. They may have been stolen, and a thief signs the highest. Which root is the newer one, the trust client has
    decided before.
    """
    return kept is None or signed.keys != kept.keys or signed.anchors.serial > kept.anchors.serial


def following(signed: SignedAnchors, known: tuple[str, ...]) -> KeptAnchors:
    """Return what to keep of newer anchors where ``known`` addresses were tried until now, in their order."""
    former = tuple(address for address in known if address not in signed.anchors.addresses)
    return KeptAnchors(signed.anchors, former[:MAX_ANCHORS], signed.keys)


def with_anchors(enrolment: Enrolment, kept: KeptAnchors) -> Enrolment:
    """Return the enrolment with the addresses and CAs of the anchors in the place of its own."""
    return replace(enrolment, addresses=kept.addresses, ca_pem=kept.anchors.ca_pem)
