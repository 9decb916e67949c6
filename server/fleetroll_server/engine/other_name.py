"""A release that says that it is another version than it was signed as: told once for each attempt, and remembered.

Which of three saw it first depends on how well it lies: its own self-test before the switch, the agent itself at its
start on trial, or the server at its hello. For the people who signed it it is the same alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll_common.values.codes import Code
from fleetroll_server.domain.states import AttemptState
from fleetroll_server.engine.actor import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll_server.domain.heard import Said
    from fleetroll_server.engine.book import Book
    from fleetroll_server.store.tx import Tx

_ENDS = frozenset({AttemptState.FAILED, AttemptState.ROLLED_BACK, AttemptState.ROLLBACK_FAILED})
_SEEN_HERE = Code.CAME_BACK_OTHER.value
"""In the row from the alarm on, until the attempt ends; every offer begins with an empty one."""


def is_told(host: Mapping[str, Any]) -> bool:
    """Tell whether the alarm about what this host has on trial was raised before."""
    return bool(host["code"] == _SEEN_HERE)


def tell(tx: Tx, book: Book, host: Mapping[str, Any], code: Code, message: str) -> None:
    """Raise the alarm; the caller writes ``code`` into the row."""
    words = {"code": code.value, "message": message}
    tx.emit(book.event("alert.came_back_other", HOST, agent_id=host["agent_id"], **words))


def tell_of_end(tx: Tx, book: Book, host: Mapping[str, Any], said: Said) -> None:
    """Raise the alarm where the host itself says that its attempt ended for this reason: an attempt ends once."""
    if said.state in _ENDS and said.code is Code.VERSION_MISMATCH and not is_told(host):
        tell(tx, book, host, said.code, said.message)


def explains(host: Mapping[str, Any], said: Said) -> bool:
    """Tell whether the server knows better than the host why it went back: it kept its Promote to itself.

    All that the host can say of that is that none came.
    """
    return is_told(host) and said.state is AttemptState.ROLLED_BACK and said.unproven
