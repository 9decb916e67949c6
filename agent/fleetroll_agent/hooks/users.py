"""The user that a command runs as."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError


@dataclass(frozen=True, slots=True)
class User:
    """Who a command becomes: user id, group id, and all its groups."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def find_user(name: str) -> User | None:
    """Return the user ``name``; None when that is who we are already. May ask a directory in the network: it blocks.

    Raises:
        AgentError: there is no such user, or we may not become it (STEP_FAILED; the host's settings are at fault).
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError) as error:  # ValueError: a NUL in the name
        remedy = "make the user, or name another one in agent.toml"
        raise AgentError(
            f"user: the host knows no user {name!r}", code=Code.STEP_FAILED, remedy=remedy, user=name
        ) from error
    if entry.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        remedy = "run the agent as root, or take the user out of agent.toml"
        message = f"user: the agent does not run as root and can't become {name!r}"
        raise AgentError(message, code=Code.STEP_FAILED, remedy=remedy, user=name)
    return User(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))
