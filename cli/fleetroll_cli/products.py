"""``fleetroll release product``: the products that releases can be published of."""

from __future__ import annotations

from typing import Annotated

import typer

from fleetroll.v1 import releases_pb2
from fleetroll_cli.context import CALL_SECONDS, JsonOption, connected
from fleetroll_cli.names import local_time
from fleetroll_cli.output import print_json, print_table, say

app = typer.Typer(no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Small letters, digits and dashes, a letter first, at most 63.")]


@app.command()
def add(context: typer.Context, name: NameArgument, json: JsonOption = False) -> None:
    """Let releases of one more product be published: it gets a key of its own, and hosts follow by themselves."""
    with connected(context) as client:
        answer = client.releases.AddProduct(releases_pb2.AddProductRequest(product=name), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    say(f"added {answer.product.name}, role version {answer.product.role_version}")


@app.command("list")
def list_products(context: typer.Context, json: JsonOption = False) -> None:
    """List the products, by name."""
    with connected(context) as client:
        answer = client.releases.ListProducts(releases_pb2.ListProductsRequest(), timeout=CALL_SECONDS)
    if json:
        print_json(answer)
        return
    rows = [
        (item.name, str(item.releases), str(item.role_version), local_time(item, "expires_at"))
        for item in answer.products
    ]
    print_table(("PRODUCT", "RELEASES", "ROLE VERSION", "SIGNED UNTIL"), rows)
