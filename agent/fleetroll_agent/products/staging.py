"""Finding and fetching a release of a managed product: the path is computed here, everything else is signed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fleetroll_agent.fetch import fetch_target
from fleetroll_agent.fetch.values import SourceFailed, is_transient
from fleetroll_agent.jobs.agent_update import GRACE_SECONDS, Found, described, fill_slot
from fleetroll_agent.jobs.events import SlotReady, StagingFailed, TargetFound
from fleetroll_agent.jobs.threads import in_thread
from fleetroll_agent.jobs.work import About
from fleetroll_agent.slots.disk import typed_disk_errors
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, FleetrollError, TrustError
from fleetroll_common.values.platform import Platform
from fleetroll_common.values.release import target_path
from fleetroll_common.values.version import Version

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.fetch.values import TargetSource
    from fleetroll_agent.jobs.agent_update import Line
    from fleetroll_agent.jobs.effects import FillSlot, FindTarget
    from fleetroll_agent.jobs.values import ProductRecord
    from fleetroll_agent.products.places import Places
    from fleetroll_common.trust import ListedTarget, TrustClient
    from fleetroll_common.values.clock import Clock

log = structlog.get_logger(__name__)
