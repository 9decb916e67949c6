"""Any settings, and the file that says them."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from fleetroll_agent.settings import (
    AutoUpdate,
    CommandCheck,
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
    TcpCheck,
    UnitCheck,
    Window,
)
from fleetroll_agent.settings.product_table import HOOKS
from fleetroll_common.values.windows import DAYS

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
argvs = st.builds(
    lambda name, rest: (f"/opt/{name}", *rest),
    st.from_regex(r"[a-z]{1,9}", fullmatch=True),
    st.lists(words, max_size=3).map(tuple),
)
units = st.from_regex(r"[a-z@]{1,9}\.service", fullmatch=True)
product_names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name not in {"agent", "launcher"}
)
seconds = st.integers(1, 86400)
windows = st.builds(
    Window,
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    st.integers(0, 719),
    st.integers(720, 1440),
    st.sampled_from(["local", "UTC", "Europe/Berlin"]),
) | st.builds(Window, st.just((6,)), st.integers(720, 1439), st.integers(0, 719), st.just("local"))
numbers = st.integers(0, 999_999_999)
pins = (
    st.builds(lambda *all_: Pin(PinKind.MAJOR, all_), numbers)
    | st.builds(lambda *all_: Pin(PinKind.MINOR, all_), numbers, numbers)
    | st.builds(lambda *all_: Pin(PinKind.PATCH, all_), numbers, numbers, numbers)
)
checks = (
    st.builds(
        HttpCheck,
        st.just("http://[::1]:80/"),
        st.integers(100, 599),
        st.none() | words,
        st.sampled_from([(), ("a", "b")]),
    )
    | st.builds(TcpCheck, st.sampled_from(["localhost", "::1", "10.0.0.1"]), st.integers(1, 65535))
    | st.builds(CommandCheck, argvs)
    | st.builds(UnitCheck, units)
)
healths = st.builds(Health, checks, st.floats(0.1, 3600), st.floats(0.001, 86400), st.floats(0.1, 600))


def _commands(kind: Kind) -> st.SearchStrategy[Hooks]:
    """The commands that a kind may have, with what each needs."""
    needed = {"backup", "pull", "smoke", "switch"} if kind is Kind.COMMAND else set()
    fitting = {key.name for key in HOOKS.keys if kind in key.kinds}
    one = st.fixed_dictionaries(dict.fromkeys(needed, argvs), optional=dict.fromkeys(sorted(fitting - needed), argvs))
    return one.map(_with_way_back)


def _with_way_back(hooks: dict[str, tuple[str, ...]]) -> Hooks:
    if "migrate" in hooks:
        hooks.setdefault("restore", ("/opt/restore",))
    if "restore" in hooks:
        hooks.setdefault("backup", ("/opt/backup",))
    if "restart" in hooks:
        hooks.pop("reload", None)
    return Hooks(**hooks)


def _product(kind: Kind) -> st.SearchStrategy[Product]:
    fitting = [Hook(key.name) for key in HOOKS.keys if kind in key.kinds]
    policy = {
        "name": st.just("agent") if kind is Kind.AGENT else product_names,
        "kind": st.just(kind),
        "auto_update": st.sampled_from(AutoUpdate),
        "allowed_channels": st.none() | st.lists(product_names, min_size=1, max_size=16, unique=True).map(tuple),
        "pin": st.none() | pins,
        "min_update_interval_seconds": st.integers(0, 2_592_000),
        "retry_bad": st.booleans(),
        "override_local": st.booleans(),
        "windows": st.lists(windows, max_size=3, unique=True).map(tuple),
        "lock_deferrals": st.integers(0, 100_000),
        "expected_seconds": seconds,
    }
    managed: dict[str, st.SearchStrategy[Any]] = {
        "lock_command": st.none() | argvs,
        "redact": st.lists(words.map(re.escape), max_size=3, unique=True).map(
            lambda all_: tuple(map(re.compile, all_))
        ),
        "time_limit_seconds": seconds,
        "time_limits": st.sets(st.sampled_from(fitting or [*Hook])).flatmap(
            lambda chosen: st.tuples(*(st.tuples(st.just(hook), seconds) for hook in Hook if hook in chosen))
        ),
        "idempotent": st.frozensets(st.sampled_from(fitting or [*Hook])),
        "health": st.none() | healths,
        "hooks": _commands(kind),
        "unit": st.none() | units,
        "user": st.none() | st.from_regex(r"[a-z_][a-z0-9-]{0,9}", fullmatch=True),
        "revert_on_lost_contact": st.booleans(),
    }
    return st.builds(Product, **policy, **({} if kind is Kind.AGENT else managed)).map(_placed)


def _placed(product: Product) -> Product:
    """Give a product the place that its kind has, and the check that its unit brings."""
    place = f"/srv/{product.name}"
    if product.unit and product.health is None:
        product = replace(product, health=Health(UnitCheck(product.unit)))
    if product.hooks.backup and product.override_local:
        product = replace(product, backup_mib=product.lock_deferrals + 1, backup_folder="/var/backups")
    if product.kind is Kind.FILE:
        return replace(product, path=place)
    return replace(product, link=place) if product.kind is Kind.SLOTS and product.retry_bad else product


@st.composite
def any_settings(draw: st.DrawFn) -> Settings:
    """Settings that a file can say."""
    kinds = draw(st.lists(st.sampled_from([Kind.SLOTS, Kind.FILE, Kind.COMMAND]), max_size=3))
    found = [draw(_product(kind)) for kind in kinds] + draw(st.lists(_product(Kind.AGENT), max_size=1))
    products = tuple({product.name: product for product in found}.values())
    order = draw(st.permutations([product.name for product in products]))
    base, cap = sorted(draw(st.tuples(st.floats(0.001, 86400), st.floats(0.001, 86400))))
    return Settings(
        base,
        cap,
        draw(st.floats(0.001, 86400)),
        draw(st.floats(1, 3650)),
        draw(
            st.builds(
                HostSettings,
                st.integers(0, len(order)).map(lambda first: tuple(order[:first])),
                st.booleans(),
                st.sampled_from(Session),
                st.integers(60, 86400),
                st.sampled_from(Offline),
            )
        ),
        draw(
            st.builds(
                DownloadSettings,
                st.integers(0, 10_000_000),
                st.integers(1, 10_000_000),
                st.floats(1, 3600),
                st.sampled_from([(), ("https://a/{path}", "http://localhost/{path}")]),
            )
        ),
        products,
    )


def document_of(settings: Settings) -> dict[str, Any]:
    """The file, as plain values."""
    return {
        "reconnect": {"base_seconds": settings.reconnect_base_seconds, "cap_seconds": settings.reconnect_cap_seconds},
        "go": {"ask_interval_seconds": settings.go_ask_interval_seconds},
        "identity": {"rotate_after_days": settings.identity_rotate_after_days},
        "host": _plain(settings.host),
        "download": _plain(settings.download),
        "products": {product.name: _document(product) for product in settings.products},
    }


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a value that are not left out."""
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: _written(each) for name, each in found.items() if each is not None}


def _written(value: Any) -> Any:
    if isinstance(value, AutoUpdate):
        return value.value if value is AutoUpdate.NEVER else value is AutoUpdate.ALWAYS
    if isinstance(value, (Kind, Session, Offline, Hook)):
        return value.value
    if isinstance(value, Pin):
        return str(value)
    if isinstance(value, Window):
        return _window(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    return [_written(each) for each in value] if isinstance(value, (tuple, frozenset)) else value


def _window(window: Window) -> str:
    begin, end = (f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (window.from_minutes, window.to_minutes))
    return f"{','.join(DAYS[day] for day in window.days)} {begin}-{end} {window.zone}"


def _document(product: Product) -> dict[str, Any]:
    own = {name: value for name, value in _plain(product).items() if name not in {"name", "health", "hooks"}}
    if product.kind is Kind.AGENT:
        managed = {
            "redact",
            "time_limit_seconds",
            "time_limits",
            "idempotent",
            "revert_on_lost_contact",
            "backup_mib",
        }
        return {name: value for name, value in own.items() if name not in managed}
    own["time_limits"] = {hook.value: limit for hook, limit in product.time_limits}
    own["hooks"] = _plain(product.hooks)
    if product.health is not None:
        own["health"] = _health(product.health)
    return own


def _health(health: Health) -> dict[str, Any]:
    times = {name: value for name, value in _plain(replace(health, check=None)).items() if name != "check"}  # type: ignore[arg-type]
    check = health.check
    if isinstance(check, TcpCheck):
        host = f"[{check.host}]" if ":" in check.host else check.host
        return {**times, "tcp": f"{host}:{check.port}"}
    said = _plain(check)
    if isinstance(check, HttpCheck):
        said["version"] = ".".join(check.version)
    return {**times, **{name: value for name, value in said.items() if value != ""}}
