"""What can be wrong with a host that has a shop: each makes it so, and returns what takes it back."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from fleetroll.v1 import types_pb2
from tests.crash.shop.offers import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crash.shop.world import ShopHost

    Wrong = Callable[[ShopHost], Callable[[], None]]


def _sql(host: ShopHost, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(host.shop.home / "shop.db")) as known:
        known.execute(statement)
        known.commit()


def _other_schema(host: ShopHost) -> Callable[[], None]:
    _sql(host, "pragma user_version = 1")
    return lambda: _sql(host, "pragma user_version = 2")


def _lost_order(host: ShopHost) -> Callable[[], None]:
    _sql(host, "delete from orders")
    return lambda: _sql(host, "insert into orders default values")


def _other_link(host: ShopHost) -> Callable[[], None]:
    target = host.shop.link.readlink()

    def lead_to(path: Path) -> None:
        host.shop.link.unlink()
        host.shop.link.symlink_to(path)

    lead_to(target.with_name(f"{INSTALLED.version}-nothing"))
    return lambda: lead_to(target)


def _changed_program(host: ShopHost) -> Callable[[], None]:
    program = host.shop.link / "shop.py"
    text = program.read_text()
    program.chmod(0o644)
    program.write_text(text + "# changed\n")

    def restore() -> None:
        program.write_text(text)
        program.chmod(0o444)

    return restore


def _second_result(host: ShopHost) -> Callable[[], None]:
    reports = host.server.agent.reports
    state = reports[0].state
    reports[0].state = types_pb2.ATTEMPT_STATE_ROLLED_BACK

    def restore() -> None:
        reports[0].state = state

    return restore


WRONGS: tuple[Wrong, ...] = (_other_schema, _lost_order, _other_link, _changed_program, _second_result)
