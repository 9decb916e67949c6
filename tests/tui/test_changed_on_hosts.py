"""What was decided or done on a host itself is seen in the list of hosts, on the host's own screen, and by a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, types_pb2
from fleetroll_tui import convert
from fleetroll_tui.model.fields import HOST_FIELDS
from fleetroll_tui.model.filters import compile_filter
from fleetroll_tui.paint import Paint
from fleetroll_tui.screens.columns import host_columns
from fleetroll_tui.screens.member import host_lines
from fleetroll_tui.theme import PALETTES

if TYPE_CHECKING:
    from fleetroll_tui.model.values import Host

NOW = 10_000.0
HELD = "held: rollback by root until 2026-03-08 00:00Z"


def product(name: str, *, note: str = "", changed: bool = False) -> agents_pb2.ProductStatus:
    return agents_pb2.ProductStatus(
        product=name,
        current_version="1.1.0",
        target_version="1.2.0",
        update_state=types_pb2.ATTEMPT_STATE_SUCCEEDED,
        last_attempt=types_pb2.Attempt(id=f"ag-1/{name}/4", state=types_pb2.ATTEMPT_STATE_SUCCEEDED, message="kept"),
        note=note,
        changed_on_host=changed,
    )


def host(*products: agents_pb2.ProductStatus) -> Host:
    return convert.host(agents_pb2.Agent(id="ag-1", name="edge-1", online=True, products=products))


def in_the_list(row: Host) -> str:
    (column,) = [each for each in host_columns() if each.title == "last result"]
    return "".join(text for text, _ in column.cell(row, Paint(PALETTES["dark"]), NOW, 80))


def on_its_screen(row: Host) -> str:
    return "\n".join("".join(text for text, _ in line) for line in host_lines(row, NOW, 120))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (host(product("shop", changed=True)), "changed on the host from 1.2.0"),
        (host(product("shop", note=HELD)), HELD),
        (host(product("shop", note=HELD, changed=True)), f"changed on the host from 1.2.0; {HELD}"),
        (host(product("agent"), product("shop", note=HELD)), f"shop: {HELD}"),
        (host(product("shop", note="\x1b[2Jheld")), "held"),
    ],
)
def test_it_is_said_in_the_list_and_on_the_hosts_own_screen(row: Host, words: str) -> None:
    assert words in in_the_list(row)
    assert words in on_its_screen(row)
    assert "\x1b" not in in_the_list(row) + on_its_screen(row)


def test_where_nothing_was_done_there_the_last_result_stands() -> None:
    row = host(product("shop"))
    assert in_the_list(row) == "kept"
    assert "Locally" not in on_its_screen(row)


def test_a_filter_finds_those_that_were_changed() -> None:
    def found(row: Host) -> bool:
        return compile_filter("is:changed", HOST_FIELDS).holds(row, NOW)

    assert found(host(product("agent"), product("shop", changed=True)))
    assert not found(host(product("shop", note=HELD)))
