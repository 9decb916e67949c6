"""A file with every key, and what the settings make of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetroll_agent.settings import (
    AutoUpdate,
    DownloadSettings,
    Health,
    Hook,
    Hooks,
    HostSettings,
    HttpCheck,
    Kind,
    Offline,
    Pin,
    PinKind,
    Product,
    Session,
    Settings,
    Window,
    parse_settings,
)
from tests.agent.settings.told import SLOTS, only

WHOLE = Path(__file__).with_name("whole.toml").read_text("utf-8")
SHOP = Product(
    name="shop",
    kind=Kind.SLOTS,
    auto_update=AutoUpdate.NEVER,
    allowed_channels=("stable",),
    pin=Pin(PinKind.MINOR, (1, 4)),
    min_update_interval_seconds=60,
    retry_bad=False,
    override_local=False,
    windows=(Window((0, 1, 2, 3, 4), 1320, 300, "Europe/Berlin"), Window((5, 6), 0, 1440, "local")),
    redact=(re.compile(r"password=\S+"),),
    lock_command=("/usr/local/bin/busy",),
    lock_deferrals=10,
    time_limit_seconds=300,
    time_limits=((Hook.BACKUP, 1800), (Hook.SMOKE, 20)),
    expected_seconds=90,
    idempotent=frozenset({Hook.SMOKE}),
    health=Health(HttpCheck("http://127.0.0.1:8080/health", 204, "ok", ("status", "version")), 0.5, 90.0, 1.0),
    hooks=Hooks(
        backup=("/opt/backup", "--all"),
        migrate=("/opt/migrate",),
        smoke=("/opt/smoke",),
        reload=("/opt/reload",),
        restore=("/opt/restore",),
        version=("/opt/version",),
    ),
    unit="shop.service",
    link="/srv/shop/current",
    user="shop",
    backup_mib=500,
    backup_folder="/var/backups/shop",
    revert_on_lost_contact=True,
)


def test_a_file_with_every_key_is_read() -> None:
    """Every key of the file arrives in the settings."""
    settings = parse_settings(WHOLE)
    sources = ("/media/usb/fleet.bundle", "https://mirror.example/repo")
    assert settings.host == HostSettings(("db", "shop"), True, Session.POLL, 600, Offline.LOCAL_SCHEDULE, 7200, sources)
    assert settings.download == DownloadSettings(100, 32, 5.0, ("https://mirror.example/repo/{path}",))
    assert [product.name for product in settings.products] == ["tool", "agent", "shop", "db"]
    assert settings.product("shop") == SHOP
    assert settings.product("tool") == Product("tool", Kind.FILE, path="/usr/local/bin/tool")
    assert settings.product("agent") == Product("agent", Kind.AGENT, AutoUpdate.ALWAYS)
    assert settings.product("db").idempotent == {Hook.PULL, Hook.SMOKE}
    assert settings.product("db").hooks.get(Hook.ROLLBACK) == ("/opt/rollback",)
    assert settings.product("other") is None


def test_named_products_come_first_and_the_others_in_the_order_of_the_file() -> None:
    """The order of updates is host.order, then the file's own."""
    assert [product.name for product in parse_settings(WHOLE).in_order] == ["db", "shop", "tool", "agent"]


def test_settings_can_be_compared_and_kept_in_sets() -> None:
    """Two readings of one file are the same settings."""
    assert len({parse_settings(WHOLE), parse_settings(WHOLE), Settings()}) == 2


def test_a_product_takes_what_a_person_starts_by_default() -> None:
    """Nothing but the kind gives every default."""
    assert only(SLOTS) == Product("shop", Kind.SLOTS)
    assert only(SLOTS).auto_update is AutoUpdate.ASKED
    assert only(f"{SLOTS}auto_update = false").auto_update is AutoUpdate.ASKED


@pytest.mark.parametrize(
    ("cap", "slowest", "demanded"), [(0, 64, 64.0), (1000, 64, 64.0), (100, 64, 50.0), (1, 64, 0.5)]
)
def test_no_more_than_half_the_cap_is_demanded_of_a_connection(cap: int, slowest: int, demanded: float) -> None:
    """A cap below the lowest rate doesn't end every download."""
    assert DownloadSettings(cap, slowest).demanded_kib_per_second == demanded


def test_a_command_has_the_limit_of_its_own_or_the_products() -> None:
    """One limit holds for every command that has none."""
    assert SHOP.limit_seconds(Hook.BACKUP) == 1800
    assert SHOP.limit_seconds(Hook.RESTORE) == 300
