"""A preview as lines of text. Pure: the same preview gives the same lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_cli.names import code_name
from fleetroll_cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.duration_pb2 import Duration

    from fleetroll.v1 import rollouts_pb2

_NAMED = 5
"""Hosts of a wave that its line names; the document has more."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def lines_of_preview(preview: rollouts_pb2.PreviewRolloutResponse) -> list[str]:
    """Return what ``rollout preview`` prints."""
    return list(_lines(preview))


def _lines(preview: rollouts_pb2.PreviewRolloutResponse) -> Iterator[str]:
    """Give the lines: what, how long, who in which wave, who not, what to know."""
    yield f"would roll out {plain(preview.product)} {plain(preview.version)} to {_hosts(preview.hosts)}"
    load = _bytes(preview.download_bytes)
    yield f"takes about {_span(preview.estimated_duration)}: {_per_host(preview)}; loads {load}"
    for wave in preview.waves:
        names = ", ".join(plain(host.name) for host in wave.first_hosts[:_NAMED])
        more = f" and {wave.hosts - _NAMED} more" if wave.hosts > _NAMED else ""
        yield f"wave {wave.number}  {_hosts(wave.hosts)}  about {_span(wave.estimated_duration)}  {names}{more}"
    for count in preview.exclusion_counts:
        yield f"leaves out {_hosts(count.hosts)}: {code_name(count.code)}"
    for left_out in preview.exclusions:
        yield f"  {plain(left_out.name)}: {plain(left_out.message, 300)}"
    if preview.breaking_changes:
        yield f"breaking changes: {plain(preview.breaking_changes, 500)}"
    for warning in preview.warnings:
        yield f"warning: {plain(warning.message, 500)}"
    yield "nothing was started"


def _hosts(number: int) -> str:
    """Return a number of hosts."""
    return "1 host" if number == 1 else f"{number} hosts"


def _per_host(preview: rollouts_pb2.PreviewRolloutResponse) -> str:
    """Return what the estimate is made of."""
    sample = preview.per_host_sample
    of = f"the median of {sample} updates" if sample else "assumed, none has been measured yet"
    return f"{_span(preview.per_host)} for each host ({of})"


def _span(duration: Duration) -> str:
    """Return a duration in its two largest units."""
    left, parts = max(0, duration.seconds), []
    for seconds, unit in _UNITS:
        if left >= seconds:
            parts.append(f"{left // seconds}{unit}")
            left %= seconds
    return " ".join(parts[:2]) or "0s"


def _bytes(number: int) -> str:
    """Return a number of bytes in a unit that people read."""
    for size, unit in _SIZES:
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
