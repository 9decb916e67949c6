"""What was printed: the kept output of a product's attempts, or the agent's own log. Bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetroll_agent.hooks.output import FILE_BYTES, SUFFIX, log_folder
from fleetroll_agent.launcher import files
from fleetroll_agent.reading import agent_log
from fleetroll_agent.reading.files import read_plain
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Printed:
    """Lines of a log.

    Attributes:
        path: where they stand.
        lines: oldest first.
        left_out: lines before them.
    """

    path: Path
    lines: tuple[str, ...]
    left_out: int


def agent_lines(state: Path, most: int) -> Printed:
    """Return the newest ``most`` lines of the agent's own log."""
    return _last(state / files.LOG_NAME, agent_log.lines(state, 8 * agent_log.TAIL_BYTES), most)


def attempt_lines(state: Path, product: str, attempt: str, most: int) -> Printed:
    """Return the newest ``most`` lines that the commands of an attempt printed.

    Args:
        state: the state folder.
        product: its name.
        attempt: its generation, or ``local:3``; empty = the one that printed last.
        most: lines, at least 1.

    Raises:
        RequestError: NOT_FOUND: nothing was kept of it.
        OSError: the disk refused.
    """
    kept = kept_logs(state, product)
    wanted = attempt.replace("local:", "local-")
    found = next((path for path in kept if not wanted or path.stem == wanted), None)
    if found is None:
        which = f"attempt {attempt!r:.40} of " if attempt else ""
        text = f"product: no output of {which}{product!r:.80} is kept here"
        names = ", ".join(path.stem.replace("local-", "local:") for path in kept)
        remedy = f"name one of {names}" if kept else "only commands of managed products print something"
        raise RequestError(text, code=Code.NOT_FOUND, remedy=remedy, field="attempt" if kept else "product")
    data = read_plain(found, 2 * FILE_BYTES) or b""
    return _last(found, data.decode("utf-8", "replace").splitlines(), most)


def kept_logs(state: Path, product: str) -> list[Path]:
    """Return the logs of a product's attempts, the one that was written last first."""
    try:
        found = [path for path in log_folder(state, product).iterdir() if path.suffix == SUFFIX]
        return sorted(found, key=lambda path: (path.lstat().st_mtime, path.name), reverse=True)
    except OSError:
        return []


def _last(path: Path, lines: list[str], most: int) -> Printed:
    kept = lines[-most:]
    return Printed(path, tuple(kept), len(lines) - len(kept))
