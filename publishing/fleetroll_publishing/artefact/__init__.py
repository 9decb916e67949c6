"""Artefacts: the same bytes from the same content, wherever and whenever they are built."""

from fleetroll_publishing.artefact.agent import build_agent_artefact
from fleetroll_publishing.artefact.build import FAST_LEVEL, RELEASE_LEVEL, BuiltArtefact, build_artefact
from fleetroll_publishing.artefact.commit import Commit, read_commit
from fleetroll_publishing.artefact.inspect import Inspected, inspect_artefact
from fleetroll_publishing.artefact.product import build_product_artefact

__all__ = [
    "FAST_LEVEL",
    "RELEASE_LEVEL",
    "BuiltArtefact",
    "Commit",
    "Inspected",
    "build_agent_artefact",
    "build_artefact",
    "build_product_artefact",
    "inspect_artefact",
    "read_commit",
]
