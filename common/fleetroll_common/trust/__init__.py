"""What may be installed: signed release metadata, verified on the host against a pinned root. No signing."""

from fleetroll_common.trust.client import TrustClient
from fleetroll_common.trust.keys import NaClKey
from fleetroll_common.trust.listing import ListedTarget, Offered
from fleetroll_common.trust.source import MetadataAbsent, MetadataSource

__all__ = ["ListedTarget", "MetadataAbsent", "MetadataSource", "NaClKey", "Offered", "TrustClient"]
