"""What the server offers to a shop in one life, and the host that all lives begin as: the shop runs at 1.0.0."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_agent.jobs.work import Installed
from fleetroll_agent.slots import SlotStore
from fleetroll_agent.unpack import unpack
from fleetroll_common.values.platform import Platform
from tests.agent.fake_server.artefacts import build
from tests.crash.real.kits import made
from tests.faults.shop import artefact, program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent.fake_server.releases import Releases
    from tests.crash.real.host import Kit
    from tests.faults.shop import Shop

AGENT = "1.0.0"
PRODUCT = "shop"


@dataclass(frozen=True)
class Offer:
    """A release of the shop; each needs its own schema. With a fault it is found out while it is soaked."""

    version: str
    schema: int
    fault: str = ""

    @property
    def undisturbed(self) -> str:
        """Return what becomes of it when nothing goes wrong from outside."""
        return "ROLLED_BACK" if self.fault else "SUCCEEDED"

    @property
    def text(self) -> str:
        """Return its program."""
        return program(self.version, schema=self.schema, fault=self.fault)


INSTALLED = Offer("1.0.0", 1)
COURSE = (
    Offer("2.0.0", 2),
    *(
        offer
        for number in range(3, 8)
        for offer in (Offer(f"{number}.0.0", number, "soak"), Offer(f"{number}.1.0", number))
    ),
)
"""In this order: a good one, then one that is found out and its better successor, again and again."""
SCHEMAS = {offer.version: offer.schema for offer in (INSTALLED, *COURSE)}


def shop_kit(room: Path, kind: str) -> Kit:
    """Publish, and enrol the host whose slots all others take."""
    kit = made(room, partial(_publish, room, kind))
    if kind != "command":
        _install(kit, room)
    return kit


def _publish(room: Path, kind: str, releases: Releases) -> None:
    releases.publish(AGENT, build(room, AGENT))
    for offer in (INSTALLED, *COURSE):
        migrating = offer.schema > 1
        if kind == "command":
            releases.import_manifest(PRODUCT, offer.version, migrations_required=migrating)
        else:
            built = artefact(room, offer.version, schema=offer.schema, fault=offer.fault)
            releases.publish(offer.version, built, product=PRODUCT, migrations_required=migrating)


def _install(kit: Kit, room: Path) -> None:
    """Complete the slot of the first version."""
    custom = next(known for known in kit.releases.described.values() if known.product == PRODUCT)
    store, sha256 = SlotStore(kit.template, product=PRODUCT), digest(kit, INSTALLED.version)
    archive = room / f"shop-{INSTALLED.version}.tar.zst"
    draft = store.begin(custom.version, sha256)
    unpack(archive, draft, expected=custom, platform=Platform.current())
    store.complete(draft, custom, sha256)


def digest(kit: Kit, version: str) -> str:
    """Return the hash of what is signed about a version of the shop."""
    return kit.releases.digests[f"{PRODUCT}/{version}"]


def settle_in(kit: Kit, state: Path, shop: Shop) -> None:
    """Let ``shop`` run at its first version, as an earlier update left it."""
    sha256 = digest(kit, INSTALLED.version)
    ProductFile(state, PRODUCT).write(ProductRecord(PRODUCT, current=Installed(INSTALLED.version, sha256)))
    if shop.kind == "command":
        for offer in (INSTALLED, *COURSE):
            folder = shop.home / "depot" / offer.version
            folder.mkdir(parents=True)
            (folder / "shop.py").write_text(offer.text)
        shop.link.symlink_to(shop.home / "depot" / INSTALLED.version)
        return
    (slot,) = SlotStore(state, product=PRODUCT).list()
    if shop.kind == "slots":
        shop.link.symlink_to(slot.path)
    else:
        shop.file.parent.mkdir()
        shutil.copy(slot.path / "shop.py", shop.file)
        shop.file.chmod(0o755)
