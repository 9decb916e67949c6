"""Bends archives for a time and judges what becomes of each: ``python -m tests.attacks.archives.fuzzing.run``.

A program of its own, so that its memory can be bounded for real: what needs more ends as a fault. A case is named by
seed and number; ``--first N --count 1`` makes it again.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from fleetroll_common.values.errors import RequestError
from tests.attacks.archives.fuzzing.bends import Case, make
from tests.attacks.archives.fuzzing.judge import Fault, Ground

ROOM_BYTES = 256 * 1024 * 1024
"""Above what the program holds when it begins: the window of the decoder, a few steps of its output, a manifest of
8 MiB as text and values, and the generator's own copies of an archive."""


def bound_memory() -> None:
    """Let nothing allocate more than ``ROOM_BYTES`` beyond what there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def describe(case: Case, seed: int, number: int, fault: Fault) -> str:
    """Return what a person needs to make the case again."""
    return f"FAULT at seed {seed}, number {number}: {fault}\n  " + "\n  ".join(case.told)


def main() -> int:
    """Run; return 1 when there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0, help="stop after so many; 0 = by time alone")
    asked = parser.parse_args()
    outcomes: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    faults, number, begun = 0, asked.first, time.monotonic()
    bound_memory()
    with tempfile.TemporaryDirectory(prefix="fleetroll-fuzz-") as folder:
        ground = Ground(Path(folder))
        while time.monotonic() - begun < asked.seconds and not 0 < asked.count <= number - asked.first:
            case = make(Random(f"{asked.seed}:{number}"))
            try:
                outcomes[ground.judge(case.raw, case.archive.custom())] += 1
            except RequestError:
                outcomes["no release"] += 1  # nobody can sign such numbers
            except Fault as fault:
                faults += 1
                print(describe(case, asked.seed, number, fault), file=sys.stderr)
                if faults >= 10:
                    break
                ground = Ground(Path(tempfile.mkdtemp(dir=folder)))
            layers.update({line.split(":")[0].split(" ")[0] for line in case.told[1:]})
            number += 1
    seconds = time.monotonic() - begun
    told = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
    bent = ", ".join(f"{name} {count}" for name, count in sorted(layers.items()))
    print(f"fuzz: seed {asked.seed}, {number - asked.first} archives in {seconds:.0f} s: {told}; faults {faults}")
    print(f"fuzz: bent were {bent}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
