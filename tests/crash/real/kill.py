"""One kill as the shim wrote it down: who was killed where, and what the records on disk said at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fleetroll_agent.jobs.record import read_record
from fleetroll_agent.jobs.values import ProductRecord
from fleetroll_agent.launcher.record import decode
from fleetroll_common.durable import load_record

if TYPE_CHECKING:
    from fleetroll_agent.launcher.values import Record


@dataclass(frozen=True)
class Kill:
    """Who was killed where.

    Attributes:
        number: of the quarry.
        role: of the process at the point.
        state: what its record said.
        point: where it was.
        do: before or after it.
        victim: as the shim names it.
        pid: of the process at the point.
        pids: who was killed.
        boot: the launcher's record at that moment.
        product: the record of what is updated, at that moment.
    """

    number: int
    role: str
    state: str
    point: str
    do: str
    victim: str
    pid: int
    pids: tuple[int, ...]
    boot: Record
    product: ProductRecord

    @classmethod
    def of(cls, line: dict[str, Any], product: str = "agent") -> Self:
        """Return the kill that a line of the shim's log tells of; ``product`` is what was updated."""
        texts = line["records"]
        text = texts[f"products/{product}.json"]
        return cls(
            **{name: line[name] for name in ("number", "role", "state", "point", "do", "victim", "pid")},
            pids=tuple(line["pids"]),
            boot=decode(texts["boot.json"].encode()),
            product=read_record(load_record(text.encode())) if text else ProductRecord(),
        )

    @property
    def launcher_died(self) -> bool:
        """Tell whether the launcher was among the victims; its agent dies with it."""
        return self.at_launcher if "self" in self.victim and self.at_launcher else "parent" in self.victim

    @property
    def at_launcher(self) -> bool:
        """Tell whether the launcher itself was at the point: then its record cannot have changed meanwhile."""
        return self.role == "launcher"

    @property
    def generation(self) -> int:
        """Return the attempt that it struck; 0 when the host had taken none."""
        trial, attempt = self.boot.trial, self.product.attempt
        if trial is not None:
            return trial.attempt.generation
        return self.product.highest if attempt is None else attempt.generation

    def __str__(self) -> str:
        """Return a name for people."""
        return (
            f"{self.do} of {self.victim} at {self.role}/{self.point} in state {self.state!r}, attempt {self.generation}"
        )
