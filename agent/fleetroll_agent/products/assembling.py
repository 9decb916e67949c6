"""Puts a managed product together: its record, its rules, its hands."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.desk import Seat
from fleetroll_agent.jobs.keeper import Keeper, Part, ProductFile
from fleetroll_agent.jobs.policy import policy_of
from fleetroll_agent.jobs.state import Rules
from fleetroll_agent.products.doing import Doer
from fleetroll_agent.products.hands import ProductHands
from fleetroll_agent.products.manifests import ManifestStaging
from fleetroll_agent.products.pipeline import Pipeline
from fleetroll_agent.products.places import Places
from fleetroll_agent.products.recipes import recipe_of
from fleetroll_agent.products.staging import Staging
from fleetroll_agent.settings.product import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from fleetroll_agent.jobs.artefacts import Line, Ways
    from fleetroll_agent.jobs.journal import Journal
    from fleetroll_agent.jobs.lock import JobLock
    from fleetroll_agent.products.hands import ProductOutside, ProductStaging
    from fleetroll_agent.settings.product import Product
    from fleetroll_common.trust import TrustClient
    from fleetroll_common.values.clock import Clock


@dataclass(frozen=True)
class Shared:
    """What all products of a host share."""

    folder: Path
    agent_id: str
    trust: TrustClient
    journal: Journal
    lock: JobLock
    clock: Clock
    ways: Ways
    ask_interval_seconds: float
    time_zone: str


def seat_of(product: Product, shared: Shared, outside: ProductOutside, line: Line) -> Seat:
    """Return the seat of ``product`` at the desk."""
    recipe = recipe_of(product)
    places = Places(shared.folder, product)
    with contextlib.suppress(OSError):  # a switch tries again, and says what is wrong
        places.open_way()
    rules = Rules(ask_interval=shared.ask_interval_seconds, lock_deferrals=product.lock_deferrals)
    file = ProductFile(shared.folder, product.name)
    part = Part(rules, course=Pipeline(recipe), policy=policy_of(product, shared.time_zone), rebuild=places.rebuilt)
    keeper = Keeper(file, shared.journal, shared.clock, part)
    doer = Doer(shared.folder, product, recipe, places, shared.agent_id, shared.clock)
    way = ManifestStaging if product.kind is Kind.COMMAND else Staging
    staging: ProductStaging = way(shared.folder, product.name, shared.trust, places, shared.ways)
    return Seat(keeper, ProductHands(outside, line, product, staging, doer, shared.lock))
