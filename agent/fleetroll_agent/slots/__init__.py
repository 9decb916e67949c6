"""Versioned folders: made, completed, marked, checked, removed, so that a power cut leaves none of them half true."""

from fleetroll_agent.slots.disk import Disk, Kind, RealDisk
from fleetroll_agent.slots.store import SlotStore
from fleetroll_agent.slots.values import Drift, InUse, Mark, Slot

__all__ = ["Disk", "Drift", "InUse", "Kind", "Mark", "RealDisk", "Slot", "SlotStore"]
