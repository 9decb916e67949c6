"""Products on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fleetroll.v1 import agents_pb2, releases_pb2, types_pb2

if TYPE_CHECKING:
    from tests.cli.commands import Commands


def product(name: str, releases: int = 0) -> releases_pb2.Product:
    made = releases_pb2.Product(name=name, role_version=releases + 1, releases=releases)
    made.expires_at.FromDatetime(datetime(2027, 1, 1, 12, tzinfo=UTC))
    return made


def test_a_product_is_added_by_its_name(commands: Commands) -> None:
    """The answer says what is there now."""
    commands.answers["AddProduct"] = releases_pb2.AddProductResponse(product=product("shop"))
    ended = commands.run("release", "product", "add", "shop")
    assert (ended.code, ended.out) == (0, "added shop, role version 1\n")
    assert [request.product for request in commands.requests("AddProduct")] == ["shop"]
    ended = commands.run("release", "product", "add", "shop", "--json")
    assert json.loads(ended.out)["product"]["name"] == "shop"


def test_products_are_listed_with_their_releases(commands: Commands) -> None:
    """One line for each, and one document with --json."""
    answer = releases_pb2.ListProductsResponse(products=[product("agent", 2), product("shop")])
    commands.answers["ListProducts"] = answer
    ended = commands.run("release", "product", "list")
    lines = [line.split()[:3] for line in ended.out.splitlines()]
    assert (ended.code, lines[0][:2], lines[1:]) == (
        0,
        ["PRODUCT", "RELEASES"],
        [["agent", "2", "3"], ["shop", "0", "1"]],
    )
    ended = commands.run("release", "product", "list", "--json")
    assert [each["name"] for each in json.loads(ended.out)["products"]] == ["agent", "shop"]


def test_a_host_that_has_no_version_of_a_product_yet_is_shown_with_none(commands: Commands) -> None:
    """The agent's version is never none: there it is unknown."""
    products = [
        agents_pb2.ProductStatus(product="agent"),
        agents_pb2.ProductStatus(product="shop", target_version="1.2.0"),
    ]
    commands.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(name="h1", products=products))
    ended = commands.run("agents", "show", "h1")
    assert "agent ?, shop none \u2192 1.2.0" in ended.out


def test_what_somebody_changed_on_a_host_is_said_instead_of_how_its_rollout_ended(commands: Commands) -> None:
    held = "held: rollback by root until 2026-03-08 00:00Z"
    status = agents_pb2.ProductStatus(
        product="shop",
        current_version="1.1.0",
        target_version="1.2.0",
        update_state=types_pb2.ATTEMPT_STATE_SUCCEEDED,
        note=held,
        changed_on_host=True,
    )
    local = types_pb2.Attempt(
        id="ag-1/shop/local:3",
        from_version="1.2.0",
        to_version="1.1.0",
        state=types_pb2.ATTEMPT_STATE_SUCCEEDED,
    )
    agent = agents_pb2.Agent(name="h1", products=[status])
    commands.answers["ListAgents"] = agents_pb2.ListAgentsResponse(agents=[agent])
    commands.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=agent, attempts=[local])
    listed = commands.run("agents", "list").out
    assert f"shop 1.1.0, changed on the host from 1.2.0 ({held})" in listed
    assert "succeeded" not in listed
    assert "ag-1/shop/local:3" in commands.run("agents", "show", "h1").out


def test_a_host_is_shown_with_the_last_output_of_its_newest_attempt_that_left_any(commands: Commands) -> None:
    """What failed is found without --json; nothing in it steers a terminal, and only its end is shown."""
    tails = ["", "\n".join(["first", *(f"line {n}" for n in range(9)), "KeyError: \x1b[2J"]), "older"]
    attempts = [types_pb2.Attempt(id=f"h1/shop/{n}", output_tail=tail) for n, tail in enumerate(tails)]
    commands.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=agents_pb2.Agent(name="h1"), attempts=attempts)
    _, _, said = commands.run("agents", "show", "h1").out.partition("last output of h1/shop/1:\n")
    assert said.splitlines()[0] == "  line 0"
    assert said.splitlines()[-1].startswith("  KeyError: ")
    assert "\x1b" not in said
    assert "older" not in said
