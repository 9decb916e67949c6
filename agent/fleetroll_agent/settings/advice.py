"""What is allowed in ``agent.toml``, and yet worth a word to whoever asks how the host is."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from fleetroll_agent import host
from fleetroll_agent.settings.product import AutoUpdate, CommandCheck, Hook, Kind
from fleetroll_agent.settings.values import Offline
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.windows import longest_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleetroll_agent.settings.product import Argv, Product
    from fleetroll_agent.settings.values import Settings


def is_program(path: str) -> bool:
    """Tell whether ``path`` is a file that this process may run; for commands of another user that is a guess."""
    return Path(path).is_file() and os.access(path, os.X_OK)


def is_file(path: str) -> bool:
    """Tell whether ``path`` is a file; False where that can't be seen."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def warnings(
    settings: Settings, is_executable: Callable[[str], bool] = is_program, time_zone: str = ""
) -> tuple[str, ...]:
    """Return one sentence per doubt, product by product in the file's order.

    Args:
        settings: of the host.
        is_executable: tells whether there is a program at an absolute path; MUST NOT raise.
        time_zone: the host's, by an IANA name; empty = this machine's.
    """
    zone = time_zone or host.time_zone()
    of_products = (said for product in settings.products for said in _of_product(product, is_executable, zone))
    return (*_of_offline(settings), *of_products)


def _of_offline(settings: Settings) -> Iterator[str]:
    """Tell when a schedule of the host's own leads nowhere."""
    if settings.host.offline is not Offline.LOCAL_SCHEDULE:
        return
    if not settings.host.offline_sources:
        yield "host.offline = local_schedule without host.offline_sources: without a server nothing can be taken"
    for place in settings.host.offline_sources:
        if is_file(place):
            yield (
                f"host.offline_sources: {place} is a file, and refused: the schedule takes mirrors alone; "
                "a bundle is started by a person: fleetroll-agent update --bundle"
            )
    if not any(product.auto_update is AutoUpdate.ALWAYS for product in settings.products):
        yield "host.offline = local_schedule, and no product has auto_update = true: nothing is taken by itself"


def _of_product(product: Product, is_executable: Callable[[str], bool], time_zone: str) -> Iterator[str]:
    where = f"products.{product.name}"
    if product.kind is Kind.COMMAND and product.hooks.rollback is None:
        yield f"{where}.hooks.rollback is missing: a failure from pull on is rollback_failed: a person must act"
    if product.smoke_is_health:
        yield f"{where}.health is missing: the smoke command is repeated for the soak"
    elif product.health is None and product.kind is not Kind.AGENT:
        yield f"{where}.health is missing: nothing is asked whether the new version works"
    yield from _of_windows(product, time_zone)
    for key, argv in _commands(product):
        if not is_executable(argv[0]):
            yield f"{where}.{key}: there is no program {argv[0]} that can be run"


def _of_windows(product: Product, time_zone: str) -> Iterator[str]:
    where, now = f"products.{product.name}", datetime.now(timezone.utc)
    try:
        longest = longest_seconds(product.windows, now, time_zone)
    except RequestError as error:
        yield f"{where}.windows: {error.message}: it is never updated"
        return
    if product.expected_seconds > longest:
        yield f"{where}.expected_seconds = {product.expected_seconds} is longer than every window: it is never updated"


def _commands(product: Product) -> Iterator[tuple[str, Argv]]:
    """Yield every command with its key."""
    if product.lock_command is not None:
        yield "lock_command", product.lock_command
    if product.health is not None and isinstance(product.health.check, CommandCheck):
        yield "health.command", product.health.check.command
    for hook in Hook:
        argv = product.hooks.get(hook)
        if argv is not None:
            yield f"hooks.{hook.value}", argv
