"""The strict extractor: an artefact that is not exactly what its signed manifest says never becomes a slot."""

from fleetroll_agent.unpack.extract import Caps, unpack

__all__ = ["Caps", "unpack"]
