"""How far uploads are: bars on a terminal, a line for each file elsewhere; beside the output in both cases."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from fleetroll_cli.output import note, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Advance = Callable[[int], None]
    """Told how many bytes more have left."""


@contextmanager
def uploads() -> Iterator[Callable[[str, int], Advance]]:
    """Show uploads while the block lasts; what it gives begins one, by its name and its bytes."""
    if not sys.stderr.isatty():
        yield _line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def begin(name: str, length: int) -> Advance:
            task = progress.add_task(plain(name).replace("[", r"\["), total=length)
            return lambda more: progress.advance(task, more)

        yield begin


def _line(name: str, length: int) -> Advance:
    """Say that an upload begins."""
    note(f"uploading {name}, {length} bytes")
    return lambda _more: None
