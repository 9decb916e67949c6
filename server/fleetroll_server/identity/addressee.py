"""Whom a token is for: a readmission token for the one agent that it names, a join token for a host that is new.

A string that is typed on the wrong host must change nothing there, at the server, and on the host that it is for.
"""

from __future__ import annotations

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

MAX_AGENT_ID_CHARS = 64
"""Twice what any agent's id has."""


def check_addressee(token_agent: str, agent_id: str) -> None:
    """Refuse a host that the token is not for. Call it before anything is spent or stored.

    Args:
        token_agent: the agent that the token readmits; empty for a join token.
        agent_id: the agent that the host says it is and would be again; empty where it is new.

    Raises:
        RequestError: INVALID_ARGUMENT: it is another one, or none where one belongs (host's fault). Whoever holds a
            readmission token is told its agent's id; nothing else is told.
    """
    if agent_id == token_agent:
        return
    if not token_agent:
        what = f"{agent_id!r} was given, and this join string makes a new agent"
        remedy = "ask an admin for a readmission string of that agent; for a new agent, enroll without --agent-id"
    elif not agent_id:
        what = f"none was given, and this readmission string is for {token_agent} alone"
        remedy = "on its host run fleetroll-agent readmit; on a machine that takes its place, enroll with --agent-id"
    else:
        what = f"{agent_id!r} is not {token_agent}, the one agent that this readmission string is for"
        remedy = "use it on that agent's host; for this one, ask an admin for a readmission string of its own"
    raise RequestError(f"agent_id: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field="agent_id", value=agent_id)
