"""Downloads of signed targets: resumable at any byte, bounded in bytes and time, named only when they are proved."""

from fleetroll_agent.fetch.download import fetch_target
from fleetroll_agent.fetch.values import DownloadLimits, SourceFailed, TargetSource, Wanted, is_transient

__all__ = ["DownloadLimits", "SourceFailed", "TargetSource", "Wanted", "fetch_target", "is_transient"]
