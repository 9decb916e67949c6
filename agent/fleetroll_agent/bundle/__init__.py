"""Signed repositories that a person names on the host: a bundle's file, a mirror's folder or address."""

from fleetroll_agent.bundle.opening import open_source
from fleetroll_agent.bundle.source import Source

__all__ = ["Source", "open_source"]
