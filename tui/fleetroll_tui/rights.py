"""Which token a command needs, from the contract, and whether this one is enough.

Only what spreads is withheld here. What stops is always sent: the server says no where it has to, and a console that
errs about a right must never keep anybody from stopping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleetroll.v1 import options_pb2, rollouts_pb2
from fleetroll_tui.commands import COMMANDS

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Token

SPREADS = "Spread"
"""The group of commands that let more hosts have a version."""
_SERVICE = rollouts_pb2.DESCRIPTOR.services_by_name["RolloutsService"]


def role_word(role: options_pb2.Role.ValueType) -> str:
    """Return "operator" for ROLE_OPERATOR; "role 9" for one that is not known yet."""
    try:
        return options_pb2.Role.Name(role).removeprefix("ROLE_").lower()
    except ValueError:
        return f"role {role}"


def _access(method: str) -> Any:  # an extension has no type of its own
    return _SERVICE.methods_by_name[method].GetOptions().Extensions[options_pb2.access]


_NEEDED = {
    command.name: _access(command.rpcs[0].rpartition(".")[2]) for command in COMMANDS if command.group == SPREADS
}


def why_denied(name: str, token: Token | None) -> str:
    """Return why a token is not enough for a command that spreads; "" when it is, or when that is not known."""
    needed = _NEEDED.get(name)
    if needed is None or token is None:
        return ""
    if token.rank < needed.role:
        return f"this needs the token of an {role_word(needed.role)}; yours is {token.role}"
    if token.scopes and needed.scope not in token.scopes:
        return f"this needs the scope {needed.scope}, which your token does not have"
    return ""
