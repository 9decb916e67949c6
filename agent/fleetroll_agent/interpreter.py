"""The Python that runs the agent, and the one that the host now calls its own: the slow death that is seen coming.

An upgrade of the host brings a newer ``python3`` first and takes the older one away later. The agent goes on until it
is started again, and then it can't: so it says so while it runs.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.launcher.pythons import Pythons

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fleetroll_agent.launcher.values import SlotRef

log = structlog.get_logger(__name__)

FIRST_SECONDS = 600.0
"""From the start to the first look: a start has enough to do."""
DAY_SECONDS = 86400.0
"""Between two looks, and so between two warnings."""
_HOSTS_OWN = "/usr/bin/python3"
_ABI = re.compile(r"cp(\d)(\d+)", re.ASCII)


def trouble(path: str, abi: str, answered: str, default: str, default_abi: str) -> str:
    """Return what threatens the agent's next start, as a sentence; empty when nothing does.

    Only a *newer* default is one: a host whose own Python is too old for the agent has another one on purpose.

    Args:
        path: of the recorded interpreter.
        abi: that it had when it was recorded, such as ``cp311``.
        answered: the abi that it has now; empty = it does not run.
        default: path of the host's ``python3``; empty = there is none.
        default_abi: of that one; empty = it does not run.
    """
    if answered != abi:
        what = f"is a Python of {answered} now" if answered else "is gone, or does not run"
        return f"{path or 'the recorded Python'} {what}: the agent can't be started again with it, which needs {abi}"
    before, now = _ABI.fullmatch(abi), _ABI.fullmatch(default_abi)
    if before is None or now is None or tuple(map(int, now.groups())) <= tuple(map(int, before.groups())):
        return ""
    return (
        f"{default} is a Python of {default_abi} now, the agent runs on {path} of {abi}:"
        " keep that one installed until the agent has a release for the new one"
    )


def look(slot: SlotRef, own: str = _HOSTS_OWN) -> str:
    """Return :func:`trouble` of this host for ``slot``. Blocks while interpreters are asked."""
    pythons = Pythons()
    default = own if Path(own).exists() else shutil.which("python3") or ""
    answered = pythons.abi_of(slot.python) if slot.python else slot.abi
    return trouble(slot.python, slot.abi, answered, default, pythons.abi_of(default) if default else "")


async def watch(slot: Callable[[], SlotRef], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Warn once a day of what threatens the next start of the slot that ``slot`` returns; never returns."""
    await sleep(FIRST_SECONDS)
    while True:
        threat = await asyncio.to_thread(look, slot())
        if threat:
            log.warning("interpreter_trouble", reason=threat)
        await sleep(DAY_SECONDS)
