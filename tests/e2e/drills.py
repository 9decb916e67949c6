"""The drills of docs/operating/keys.md: their very commands, run in a shell as an operator runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating" / "keys.md"
SECONDS = 120.0
_BLOCK = re.compile(r"<!-- drill: ([a-z-]+) -->\n```sh\n(.*?)```\n", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)$", re.MULTILINE)


def drills() -> dict[str, str]:
    """Return the commands by the drill's name."""
    text = PAGE.read_text("utf-8")
    found = _BLOCK.findall(text)
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), "a drill stands there twice"
    assert len(_FENCE.findall(text)) == 2 * len(found), "every block of the page is a drill that is run"
    return dict(found)


class Operator:
    """Somebody at a terminal, in a folder of their own.

    Attributes:
        ran: names of the drills that were run, in order.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Work in ``folder`` with these variables."""
        self.folder = folder
        self.environment = dict(environment)
        self.ran: list[str] = []
        self._drills = drills()

    def run(self, drill: str, **more: str) -> str:
        """Run the commands of a drill; return what they printed.

        Raises:
            AssertionError: a command failed.
        """
        self.ran.append(drill)
        return self.shell(self._drills[drill], **more)

    def shell(self, commands: str, **more: str) -> str:
        """Run commands; each has to succeed."""
        programs = Path(sys.executable).parent
        done = subprocess.run(
            ["/bin/sh", "-euc", commands],
            cwd=self.folder,
            env={**os.environ, **self.environment, **more, "PATH": f"{programs}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def refused(self, commands: str, **more: str) -> str:
        """Run commands that have to be refused; return what they said."""
        try:
            said = self.shell(commands, **more)
        except AssertionError as error:
            return str(error)
        raise AssertionError(f"{commands} was not refused:\n{said}")
