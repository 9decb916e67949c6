"""What a process costs its host: memory, processor time and threads, as the kernel tells them (Linux alone)."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of some processes together, in bytes.

    Attributes:
        pss: their proportional share. Other programs that map the same files make it smaller.
        alone: the same on a host where nobody else maps these files: each page of a file counts once, and in full.
        private: what no file stands behind.
        rss: the sum of their resident sets, in which what they share counts several times.
    """

    pss: int
    alone: int
    private: int
    rss: int


@dataclass(frozen=True, slots=True)
class _Mapping:
    """One mapping of a process: the file's path and offset, empty without a file; sizes in bytes."""

    source: str
    rss: int
    anonymous: int


def memory(pids: Iterable[int]) -> Memory:
    """Return what the processes hold together.

    Raises:
        OSError: one of them has ended.
    """
    known = list(pids)
    totals = [_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")) for pid in known]
    mappings = [mapping for pid in known for mapping in _mappings(Path(f"/proc/{pid}/smaps").read_text("utf-8"))]
    private = sum(mapping.anonymous for mapping in mappings)
    files: Counter[str] = Counter()
    for mapping in mappings:
        if mapping.source:
            # Two processes of one program have mostly the same pages in: the larger part stands for both.
            files[mapping.source] = max(files[mapping.source], mapping.rss - mapping.anonymous)
    pss, rss = sum(total["Pss"] for total in totals), sum(total["Rss"] for total in totals)
    return Memory(pss, private + files.total(), private, rss)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, threads that ended with it: its own clock, not the coarse ticks.

    Raises:
        OSError: it has ended.
    """
    return time.clock_gettime((~pid << 3) | 2)  # the kernel's number of another process's clock (CPUCLOCK_SCHED)


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep so far, and so were woken."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text("ascii", "replace").splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def modules(pid: int) -> Sequence[str]:
    """Return the names of the files that a process has mapped, the compiled parts of what it imported among them."""
    lines = Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
    return sorted({line.split(maxsplit=5)[5].rpartition("/")[2] for line in lines if "/" in line})


def _rollup(text: str) -> dict[str, int]:
    """Return the sums of a ``smaps_rollup`` in bytes."""
    pairs = [line.split() for line in text.splitlines()[1:]]
    return {words[0].rstrip(":"): int(words[1]) * _KIB for words in pairs}


def _mappings(text: str) -> list[_Mapping]:
    """Return the mappings of a ``smaps``."""
    found: list[_Mapping] = []
    source, rss = "", 0
    for line in text.splitlines():
        words = line.split(maxsplit=5)
        if not words[0].endswith(":"):
            source = f"{words[5]}@{words[2]}" if len(words) > 5 and words[5].startswith("/") else ""  # noqa: PLR2004 (the sixth word is the file)
        elif words[0] == "Rss:":
            rss = int(words[1]) * _KIB
        elif words[0] == "Anonymous:":
            found.append(_Mapping(source, rss, int(words[1]) * _KIB))
    return found
