"""The program that this launcher is: its name in the launcher's own place, and the word that it has proved itself.

A helper that upgrades the launcher judges the new one. Where the helper was killed nobody would, and the next starts
would use up the tries of a program that works: then the launcher keeps itself, with its agent's first beat.
"""

import os
from typing import NamedTuple

from fleetroll_agent.launcher import calls, files, starter
from fleetroll_agent.launcher.errors import LauncherError
from fleetroll_agent.launcher.lock import StateLock

PLACE_NAME = "launcher"
"""Folder of the launcher's own place in the state folder."""


class Own(NamedTuple):
    """Where this launcher runs from.

    Attributes:
        place: the launcher's own place; empty when it runs from elsewhere, such as an installed package.
        name: of its folder there; empty likewise.
    """

    place: str = ""
    name: str = ""


def own_program(file: str = __file__) -> Own:
    """Return which program this file belongs to."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(file))))
    above, name = os.path.split(folder)
    if os.path.basename(above) != starter.PROGRAMS or not starter.NAME.match(name):
        return Own()
    return Own(os.path.dirname(above), name)


def on_trial(own: Own) -> bool:
    """Tell whether this program must still prove itself."""
    choice = starter.read_choice(own.place) if own.name else None
    return choice is not None and choice.current == own.name and choice.trial != ""


def keep(own: Own) -> bool:
    """Keep this program after an upgrade that nobody watches any more; return whether that is settled.

    False while a helper holds the lock of the place: it judges then. Raises nothing: the next beat asks again.
    """
    try:
        with StateLock(own.place):
            choice = starter.read_choice(own.place)
            if choice is not None and choice.current == own.name:
                write_kept(own.place, choice)
            return True
    except (LauncherError, OSError):
        return False


def write_kept(place: str, choice: "starter.Choice") -> None:
    """End the trial of ``choice`` in favour of its program; the caller MUST hold the lock of the place.

    Raises:
        OSError: the disk refused.
    """
    folder = os.path.join(place, starter.PROGRAMS, choice.current)
    hint = os.path.join(folder, starter.KEPT)
    if not os.path.lexists(hint):
        os.close(calls.create(hint, 0o600))
        calls.fsync_dir(folder)
    files.replace_file(os.path.join(place, starter.RECORD_NAME), starter.encode(choice._replace(trial="")))
