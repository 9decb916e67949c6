"""What a product of each kind goes through: a good update, one that fails at each step, and a way back by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.settings.product import AutoUpdate, Health, Hook, Hooks, HttpCheck, Kind, Product
from tests.crash.products.releases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "slots": (Hook.VERSION, Hook.BACKUP, Hook.MIGRATE, Hook.SMOKE, Hook.RESTART, Hook.RESTORE),
    "file": (Hook.VERSION, Hook.BACKUP, Hook.MIGRATE, Hook.SMOKE, Hook.RESTART, Hook.RESTORE),
    "command": (Hook.BACKUP, Hook.PULL, Hook.MIGRATE, Hook.SMOKE, Hook.SWITCH, Hook.ROLLBACK, Hook.RESTORE),
}
KINDS = tuple(COMMANDS)
INTERVAL_SECONDS = 60


@dataclass(frozen=True)
class Scenario:
    """One course without any fault from outside.

    Attributes:
        kind: of the product.
        result: that the server learns.
        bad: what is wrong with the new version: the command that fails, or ``health`` or ``soak``; empty = nothing.
        migrating: the new version needs its migration.
        by_hand: a person takes the installed version back; no server wants anything.
        fresh: nothing of the product is there yet.
    """

    kind: str
    result: str
    bad: str = ""
    migrating: bool = True
    by_hand: bool = False
    fresh: bool = False

    @property
    def name(self) -> str:
        """Return a name for people."""
        if self.by_hand:
            return f"{self.kind}, by hand"
        what = "first" if self.fresh else "good" if not self.bad else f"bad at {self.bad}"
        return f"{self.kind}, {what}{'' if self.migrating else ', no migration'}"

    @property
    def plain(self) -> bool:
        """Tell whether this is the update that most others begin like."""
        return self.migrating and not (self.by_hand or self.fresh or self.bad)

    @property
    def product(self) -> Product:
        """Return the product as agent.toml would have it, but for what depends on the folder."""
        hooks = Hooks(**{hook.value: (f"/bin/{hook.value}",) for hook in COMMANDS[self.kind]})
        health = Health(HttpCheck("http://127.0.0.1/"), interval_seconds=1.0, start_seconds=5.0)
        return Product(
            PRODUCT,
            Kind(self.kind),
            AutoUpdate.ALWAYS,
            min_update_interval_seconds=INTERVAL_SECONDS,
            hooks=hooks,
            health=health,
        )

    def link(self, state: Path) -> Path:
        return state / "current" / PRODUCT

    def file(self, state: Path) -> Path:
        return state / "bin" / PRODUCT


def scenarios(kind: str) -> list[Scenario]:
    """Return everything that a product of ``kind`` goes through."""
    failing = [hook.value for hook in COMMANDS[kind] if hook not in (Hook.VERSION, Hook.ROLLBACK, Hook.RESTORE)]
    before = {"backup"}  # nothing was changed yet
    bad = ["check", *failing] if Hook.VERSION in COMMANDS[kind] else failing
    found = [
        Scenario(kind, "SUCCEEDED"),
        Scenario(kind, "SUCCEEDED", migrating=False),
        Scenario(kind, "SUCCEEDED", by_hand=True),
        *(
            Scenario(kind, "FAILED" if step in before | {"check"} else "ROLLED_BACK", bad=step)
            for step in (*bad, "health", "soak")
        ),
        Scenario(kind, "ROLLED_BACK", bad="soak", migrating=False),
    ]
    if kind != "command":
        found.append(Scenario(kind, "SUCCEEDED", fresh=True))
    return found
