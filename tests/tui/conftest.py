"""Worlds, as the engine's tests have them."""

from __future__ import annotations

from tests.server.conftest import installed_once
from tests.server.engine.conftest import stock_once, world

__all__ = ["installed_once", "stock_once", "world"]
