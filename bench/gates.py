"""How many hosts break before a gate halts, and how often it halts a good release, beside fixed thresholds.

Run by ``make bench-gates``. Simulates 1,000 rollouts of each kind of release to fleets of each size; all gates judge
the same ones. Ours is the server's own function (:func:`fleetroll_server.domain.gates.verdict`) with its defaults, and
with 2 % of the fleet allowed to fail; a fixed threshold halts when more than that share of a wave's attempted hosts is
bad. Waves are one host, a tenth, the rest; a twentieth of the fleet is under way at a time, and what is under way when
a gate halts still ends as it would have.

Ends with one line of JSON, and draws ``docs/pictures/gates.svg`` when asked to (``--draw``). Ratios are to the fixed
threshold of 5 %: ``broken`` of the release that fails on 5 % of hosts, ``false_halts`` of the good one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.plotting import Panel, draw

from fleetroll_server.domain.gates import CohortCounters, Counters, Verdict, verdict
from fleetroll_server.domain.limits import RolloutLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIZES = (3, 12, 50, 500, 5000)
ROLLOUTS = 1000
COHORT_SHARE = 0.2
"""Of hosts that have the platform on which one of the releases fails."""
RELEASES = {
    "good (0.2 % of hosts fail by themselves)": (0.002, 0.002),
    "fails on 5 %": (0.05, 0.05),
    "fails on 30 %": (0.3, 0.3),
    "fails everywhere": (1.0, 1.0),
    "fails on one platform (a fifth)": (0.002, 1.0),
}
"""The chance that a host ends badly: on most hosts, and on those of one platform."""
GOOD, BAD, PLATFORM = (list(RELEASES)[place] for place in (0, 1, -1))
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "gates.svg"


@dataclass(slots=True)
class Wave:
    """One wave in numbers, as a gate sees it."""

    planned: int
    attempted: int = 0
    bad: int = 0
    cohort: int = 0
    cohort_bad: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """How a host would end, and whether it has the platform."""

    fails: bool
    rare: bool


def ours(max_failed: int) -> Callable[[Wave], bool]:
    """Return whether the server's gate halts."""
    limits = RolloutLimits(max_concurrent=1, max_failed=max_failed)

    def halts(wave: Wave) -> bool:
        succeeded = wave.attempted - wave.bad
        counters = Counters(wave.planned, wave.attempted, wave.bad, wave.attempted, 0, succeeded)
        usual = CohortCounters("arch=x86_64", wave.attempted - wave.cohort, wave.bad - wave.cohort_bad)
        cohorts = [usual, CohortCounters("arch=arm64", wave.cohort, wave.cohort_bad)]
        return verdict(counters, cohorts, limits).verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE}

    return halts


def fixed(share: float) -> Callable[[Wave], bool]:
    """Return whether a fixed threshold halts."""
    return lambda wave: wave.bad > share * wave.attempted


def gates(size: int) -> dict[str, Callable[[Wave], bool]]:
    """Return the gates that are compared for a fleet of ``size`` hosts."""
    return {
        "Fleetroll, defaults": ours(1),
        "Fleetroll, 2 % may fail": ours(max(1, math.ceil(0.02 * size))),
        "fixed 1 %": fixed(0.01),
        "fixed 5 %": fixed(0.05),
        "fixed 10 %": fixed(0.10),
    }


def waves_of(hosts: Sequence[Host]) -> Iterator[Sequence[Host]]:
    """Cut a fleet into one host, a tenth, the rest."""
    first, second = 1, 1 + math.ceil(0.1 * len(hosts))
    yield from (part for part in (hosts[:first], hosts[first:second], hosts[second:]) if part)


def roll(hosts: Sequence[Host], halts: Callable[[Wave], bool]) -> tuple[bool, int]:
    """Roll out to a fleet; return whether the gate halted, and how many hosts ended badly."""
    at_once, broken = max(1, len(hosts) // 20), 0
    for part in waves_of(hosts):
        wave = Wave(len(part))
        for place, host in enumerate(part):
            wave.attempted += 1
            wave.bad += host.fails
            wave.cohort += host.rare
            wave.cohort_bad += host.rare and host.fails
            broken += host.fails
            # A host that ends well brings no gate nearer to a halt; the end of a wave is judged either way.
            if (host.fails or place == len(part) - 1) and halts(wave):
                under_way = part[place + 1 : place + at_once]
                return True, broken + sum(one.fails for one in under_way)
    return False, broken


def measure(size: int, rollouts: int, seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Return, by release and gate, the share of rollouts that halted and the mean of broken hosts."""
    chance, compared = random.Random(seed * 1_000_003 + size), gates(size)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for release, (usual, rare) in RELEASES.items():
        halted: dict[str, int] = defaultdict(int)
        broken: dict[str, int] = defaultdict(int)
        for _ in range(rollouts):
            hosts = [_host(chance, usual, rare) for _ in range(size)]
            for name, halts in compared.items():
                stopped, bad = roll(hosts, halts)
                halted[name] += stopped
                broken[name] += bad
        found[release] = {name: (halted[name] / rollouts, broken[name] / rollouts) for name in compared}
    return found


def _host(chance: random.Random, usual: float, rare: float) -> Host:
    has_it = chance.random() < COHORT_SHARE
    return Host(chance.random() < (rare if has_it else usual), has_it)


def table(size: int, found: dict[str, dict[str, tuple[float, float]]]) -> Iterator[str]:
    """Give the lines of one fleet's table."""
    yield f"\n{size} hosts".ljust(45) + "".join(name.rjust(26) for name in found[GOOD])
    for release, by_gate in found.items():
        cells = [f"{halted:6.1%} halted, {broken:8.2f} bad" for halted, broken in by_gate.values()]
        yield f"  {release}".ljust(44) + "".join(cell.rjust(26) for cell in cells)


def figures(measured: dict[int, dict[str, dict[str, tuple[float, float]]]]) -> dict[str, object]:
    """Return what the line of JSON says."""
    lines: dict[str, object] = {"rollouts_each": ROLLOUTS}
    for size, found in measured.items():
        base_bad, base_good = found[BAD]["fixed 5 %"][1], found[GOOD]["fixed 5 %"][0]
        lines[str(size)] = {
            name: {
                "broken": round(found[BAD][name][1] / base_bad, 3) if base_bad else None,
                "false_halts": round(found[GOOD][name][0] / base_good, 3) if base_good else None,
            }
            for name in found[BAD]
        }
    return lines


def picture(measured: dict[int, dict[str, dict[str, tuple[float, float]]]]) -> str:
    """Return the plot: hosts broken by a bad release, and good releases that were halted, by the size of the fleet."""
    names = list(gates(1))
    sizes = list(measured)
    broken = {name: [measured[size][BAD][name][1] for size in sizes] for name in names}
    platform = {name: [measured[size][PLATFORM][name][1] for size in sizes] for name in names}
    false = {name: [100 * measured[size][GOOD][name][0] for size in sizes] for name in names}
    labels = [f"{size:,}" for size in sizes]
    return draw(
        [
            Panel("hosts broken by a release that fails on 5 %", labels, broken),
            Panel("hosts broken where one platform fails", labels, platform),
            Panel("good releases halted, in percent", labels, false),
        ],
        f"hosts in the fleet; mean of {ROLLOUTS:,} simulated rollouts each",
    )


def main() -> int:
    """Measure, print, and draw when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=ROLLOUTS, help="of each release and size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draw", action="store_true", help=f"write {PICTURE.name}")
    arguments = parser.parse_args()
    measured = {}
    for size in SIZES:
        measured[size] = measure(size, arguments.rollouts, arguments.seed)
        for line in table(size, measured[size]):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    if arguments.draw:
        PICTURE.write_text(picture(measured), "utf-8")
    sys.stdout.write(f"{json.dumps(figures(measured))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
