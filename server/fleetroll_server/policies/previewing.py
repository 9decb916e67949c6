"""When work may begin next, by a policy as it is or as it would be; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_common.values.errors import RequestError
from fleetroll_server.domain.hostrules import never_fits, openings, rules_of, shut
from fleetroll_server.domain.policy import Document, Entry, merge, read_change
from fleetroll_server.policies.reading import level_of, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping

    from fleetroll_server.engine.actor import Actor
    from fleetroll_server.policies.shown import Meant


@dataclass(frozen=True, slots=True)
class Preview:
    """What a host in some zone may do when.

    Attributes:
        time_zone: for which it was calculated; empty where the host told none.
        why: why no work may begin now, or ever; empty where it may.
        openings: begin and end of the next ones; one without an end goes on.
    """

    time_zone: str
    why: str
    openings: tuple[tuple[datetime, datetime | None], ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """What would be set at the level, and who would do it."""

    said: Mapping[str, object]
    actor: Actor


def preview(
    rows: Sequence[RowMapping], meant: Meant, draft: Draft | None, time_zone: str, now: datetime, count: int
) -> Preview:
    """Calculate the next ``count`` openings.

    Args:
        rows: the documents of the level and of those above it.
        meant: the level.
        draft: what would be set there; None = the policy as it is.
        time_zone: of the host; empty = it told none.
        now: the server's clock.
        count: openings, at most.

    Raises:
        RequestError: a field of the draft can't be used (caller's fault).
    """
    documents = [read_document(row) for row in rows]
    if draft is not None:
        documents = _with_draft(documents, meant, draft, now)
    rules = rules_of(merge(documents), time_zone, now)
    closed = shut(rules, now)
    why = never_fits(rules) or (closed.message if closed is not None else "")
    try:
        found = openings(rules, now, count) if not rules.fault else []
    except RequestError:  # the zone is not known, and `why` says so
        found = []
    return Preview(time_zone, why, tuple(found))


def _with_draft(documents: list[Document], meant: Meant, draft: Draft, now: datetime) -> list[Document]:
    """Return the documents with the level's own as it would be."""
    level, actor = level_of(meant.scope), draft.actor
    own = [one for one in documents if (one.level, one.product) == (level, meant.product)]
    new = {name: Entry(value, actor.kind, actor.id, now, 0) for name, value in read_change(level, draft.said).items()}
    entries = {**(own[0].entries if own else {}), **new}
    return [*(one for one in documents if one not in own), Document(level, meant.product, entries)]
