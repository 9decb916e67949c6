"""Checks of agent.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_agent.doctor.values import Finding, Sign
from fleetroll_agent.settings import SETTINGS_NAME, warnings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.doctor.host import Host


def settings(host: Host) -> Iterator[Finding]:
    """Tell what is wrong in agent.toml, with its line, or what is allowed there and yet worth a word."""
    fault = host.settings_fault
    if fault is not None:
        remedy = f"{fault.remedy}; until then the agent does not start, and other checks go by the defaults"
        yield Finding(Sign.SETTINGS_WRONG, SETTINGS_NAME, fault.message, remedy)
        return
    for said in warnings(host.settings):
        remedy = "change it, unless it is meant so; the agent reads the file when it starts"
        yield Finding(Sign.SETTINGS_DOUBTFUL, SETTINGS_NAME, said, remedy)
