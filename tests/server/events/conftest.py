"""Worlds, as the engine's tests have them."""

from __future__ import annotations

from tests.server.engine.conftest import fleets_are_named, stock_once, world, world_on_each, worlds

__all__ = ["fleets_are_named", "stock_once", "world", "world_on_each", "worlds"]
