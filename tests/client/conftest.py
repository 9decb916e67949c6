"""Worlds, as the engine's tests have them."""

from __future__ import annotations

from tests.server.conftest import installed_once
from tests.server.engine.conftest import fleets_are_named, stock_once, world

__all__ = ["fleets_are_named", "installed_once", "stock_once", "world"]
