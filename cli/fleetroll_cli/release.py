"""``fleetroll release``: build the artefact of a product, publish it, list what is published, take it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fleetroll_cli import carrying, products, publish, showing, verbs
from fleetroll_cli.building import Wish, build_release
from fleetroll_cli.output import say
from fleetroll_cli.parse import between, said
from fleetroll_publishing.artefact.agent import PRODUCT

app = typer.Typer(no_args_is_help=True)
app.add_typer(products.app, name="product", help="The products that releases can be published of.")
VersionOption = Annotated[str, typer.Option("--version", help="Semantic version.")]
PlatformOption = Annotated[
    str,
    typer.Option("--platform", help="os/arch, os/arch/abi, os/any or any; the agent's is this machine's by default."),
]


@app.command()
def build(  # noqa: PLR0913 (one parameter per option)
    *,
    version: VersionOption,
    out: Annotated[Path, typer.Option("--out", help="Folder for the artefact and its description.")],
    path: Annotated[
        Path | None, typer.Argument(help="The product's folder or its one file; left out for the agent.")
    ] = None,
    product: Annotated[str, typer.Option("--product", callback=said("product"), help="The product.")] = PRODUCT,
    platform: PlatformOption = "",
    entry: Annotated[str, typer.Option("--entry", help="Path of the first file in the product's folder.")] = "",
    git_sha: Annotated[
        str, typer.Option("--git-sha", help="The commit; default: that of the repository in which PATH lies.")
    ] = "",
    source: Annotated[Path, typer.Option("--source", help="Root of the agent's source tree.")] = Path(),
    level: Annotated[
        int, typer.Option("--level", callback=between(1, 19, "level"), help="Compression, 1 (quick) to 19 (small).")
    ] = 19,
) -> None:
    """Make the deterministic artefact of a product: the same source gives the same bytes."""
    wish = Wish(product or PRODUCT, version, platform, git_sha, entry, level)
    say(str(build_release(wish, out, path=path, source=source)))


app.command()(publish.publish)
app.command("list")(showing.list_releases)
app.command()(showing.show)
app.command()(verbs.promote)
app.command()(verbs.yank)
app.command()(verbs.retire)
app.command()(verbs.revoke)
app.command()(verbs.floor)
app.command()(verbs.intermediates)
app.command()(showing.notes)
app.command()(carrying.mirror)
app.command()(carrying.bundle)
