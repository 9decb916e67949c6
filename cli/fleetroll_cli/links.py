"""Tells a person, beside the output, that what is shown is old, and when it is not any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_cli.output import note, plain

if TYPE_CHECKING:
    from fleetroll_client import Connection

TRIES = 3
"""A line that breaks and is back within two tries is not worth a word."""


class LinkNotes:
    """What was said of the connection."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._said = False

    def take(self, connection: Connection) -> None:
        """Say once that it is not live, and once that it is again."""
        if connection.live and self._said:
            note("live again")
            self._said = False
        elif connection.attempt >= TRIES and not self._said:
            note(f"not live, trying again: {plain(connection.why, 200)}")
            self._said = True
