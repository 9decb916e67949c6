"""``agent.toml`` in the state folder: what the host decides for itself. All has a default; the file may be absent.

Every key stands in the table of :mod:`~fleetroll_agent.settings.host_table` and
:mod:`~fleetroll_agent.settings.product_table`, which the reader goes by and the reference is made from. A fault names
file, line, key, value and remedy; of several the first in the file is told.
"""

from __future__ import annotations

from fleetroll_agent.settings.advice import warnings
from fleetroll_agent.settings.faults import SETTINGS_NAME
from fleetroll_agent.settings.product import (
    AutoUpdate,
    CommandCheck,
    Health,
    Hook,
    Hooks,
    HttpCheck,
    Kind,
    Product,
    TcpCheck,
    UnitCheck,
)
from fleetroll_agent.settings.reading import parse_settings, read_settings
from fleetroll_agent.settings.values import DownloadSettings, HostSettings, Offline, Session, Settings
from fleetroll_common.values.pins import Pin, PinKind
from fleetroll_common.values.windows import LOCAL_ZONE, Window

__all__ = [
    "LOCAL_ZONE",
    "SETTINGS_NAME",
    "AutoUpdate",
    "CommandCheck",
    "DownloadSettings",
    "Health",
    "Hook",
    "Hooks",
    "HostSettings",
    "HttpCheck",
    "Kind",
    "Offline",
    "Pin",
    "PinKind",
    "Product",
    "Session",
    "Settings",
    "TcpCheck",
    "UnitCheck",
    "Window",
    "parse_settings",
    "read_settings",
    "warnings",
]
