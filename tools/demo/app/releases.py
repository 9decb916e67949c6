"""The releases of the demonstration's products: what lies in ``products/``, with the changes that each of them makes.

The bad ones have mistakes such as people make: each goes through the tests that its authors thought of.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tools.demo.sources import Mistake, commit, make_mistakes

SHOP, GATEWAY = "shop", "gateway"
PRODUCTS = Path(__file__).parent / "products"
_PRICE = '"price": f"{order[\'cents\'] / 100:.2f}"'
_SECOND, _THIRD = "migrations/2.sql", "migrations/3.sql"


@dataclass(frozen=True)
class Release:
    """One release.

    Attributes:
        product: whose it is.
        version: its own name.
        changes: what is other than in ``products/``.
        without: files that it does not have yet.
        extra: text of files that it has beside, by path.
        migrates: its data has to be migrated.
    """

    product: str
    version: str
    changes: tuple[Mistake, ...] = ()
    without: tuple[str, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)
    migrates: bool = False

    @property
    def entry(self) -> str:
        """The file that it begins with."""
        return f"{self.product}.py"


NEEDS_A_SETTING = Mistake("shop.py", _PRICE, _PRICE[:-1] + " {os.environ['SHOP_CURRENCY']}\"")
"""A variable that the authors have on their machines, and no host has: the smoke test ends by it."""
KNOWS_NEW_ORDERS_ALONE = (
    Mistake("shop.py", _PRICE, _PRICE[:-1] + " {order['currency'].upper()}\""),
    Mistake(
        "shop.py",
        '(item, cents) values (?, ?)", (item, cents)',
        "(item, cents, currency) values (?, ?, 'eur')\", (item, cents)",
    ),
)
"""Orders of before have no currency: it works on an empty database, so in the smoke test, and not on real data."""
CURRENCY = "alter table orders add column currency text;\n"

RELEASES = (
    Release(SHOP, "1.0.0", without=(_SECOND,), migrates=True),
    Release(SHOP, "2.0.0", migrates=True),
    Release(SHOP, "3.0.0", (NEEDS_A_SETTING,)),
    Release(SHOP, "4.0.0", KNOWS_NEW_ORDERS_ALONE, extra={_THIRD: CURRENCY}, migrates=True),
    Release(SHOP, "5.0.0", migrates=True),
    Release(GATEWAY, "1.0.0"),
    Release(GATEWAY, "2.0.0"),
)


def write(release: Release, into: Path) -> Path:
    """Write a release's source below ``into`` and commit it; return what ``release build`` is given.

    Raises:
        DemoError: the text that a change is about is not there any more.
    """
    folder = into / f"{release.product}-{release.version}"
    if release.product == SHOP:
        shutil.copytree(PRODUCTS / SHOP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        folder.mkdir(parents=True)
        shutil.copy(PRODUCTS / release.entry, folder)
    for name in release.without:
        (folder / name).unlink()
    for name, text in release.extra.items():
        (folder / name).write_text(text, encoding="utf-8")
    make_mistakes(
        folder, (Mistake(release.entry, 'VERSION = "0.0.0"', f'VERSION = "{release.version}"'), *release.changes)
    )
    commit(folder)
    return folder if release.product == SHOP else folder / release.entry
