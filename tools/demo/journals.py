"""What the hosts themselves wrote down: which of them used a Go for which artefact."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from tools.demo.sources import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_STEP = "self_test"
"""The first step after Go: a host writes it down before it begins."""


def hosts_past_go(hosts: Path, sha256: str) -> list[str]:
    """Return the hosts whose own journal says that they began to apply the artefact, by name, once per use."""
    return [
        host.name
        for host in sorted(hosts.iterdir())
        for report in _reports(host / "journal")
        if report["said"] == "APPLYING" and report["step"] == FIRST_STEP and report["sha256"] == sha256
    ]


def _reports(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the reports of one host in order.

    Raises:
        DemoError: a line is damaged.
    """
    for segment in sorted(journal.glob("*.log")):
        for line in segment.read_bytes().splitlines():
            crc, _, body = line.partition(b" ")
            if int(crc, 16) != zlib.crc32(body):
                raise DemoError(f"{segment}: a line is damaged")
            yield json.loads(body)["report"]
