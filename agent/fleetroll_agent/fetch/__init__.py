"""Downloads of signed targets: resumable at any byte, bounded in bytes, rate and time, named only when proved."""

from fleetroll_agent.fetch.choice import Liars, SourcesInTurn
from fleetroll_agent.fetch.download import fetch_target
from fleetroll_agent.fetch.mirrors import MirrorSource
from fleetroll_agent.fetch.pace import Pacer
from fleetroll_agent.fetch.values import (
    DownloadLimits,
    NamedSource,
    SourceFailed,
    TargetSource,
    Wanted,
    is_transient,
)

__all__ = [
    "DownloadLimits",
    "Liars",
    "MirrorSource",
    "NamedSource",
    "Pacer",
    "SourceFailed",
    "SourcesInTurn",
    "TargetSource",
    "Wanted",
    "fetch_target",
    "is_transient",
]
