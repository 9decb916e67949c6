"""Launcher's places with small programs in them, and packages of the real launcher that were changed on purpose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import fleetroll_agent
from fleetroll_agent.launcher import starter
from fleetroll_agent.launcher.starter import Choice
from fleetroll_agent.service.place import Place, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = Path(fleetroll_agent.__file__).parent
STARTER = (PACKAGE / "launcher" / "starter.py").read_bytes()
SAYS = "import sys\ndef main(argv):\n    print({name!r}, *argv)\n    return {code}\n"
BODY = "    state = os.path.abspath(state)\n"
"""A line of the real launcher's ``run`` before which a test may put another one."""


def program(name: str, main: str | None = None, code: int = 0) -> Source:
    """Return a launcher that prints ``name`` and its arguments, or does what ``main`` holds."""
    files = {
        "fleetroll_agent/__init__.py": b"",
        "fleetroll_agent/launcher/__init__.py": b"",
        "fleetroll_agent/launcher/starter.py": STARTER,
        "fleetroll_agent/launcher/main.py": (main or SAYS.format(name=name, code=code)).encode(),
    }
    return Source(version=name, level=1, agents_from="0.0.0", files=files)


def place_with(state: Path, *sources: Source, choice: Choice | None = None) -> Place:
    """Return the place of ``state`` with complete copies; the first one is chosen unless ``choice`` says otherwise."""
    place = Place(state)
    place.make()
    place.write_starter(sources[0])
    for source in sources:
        place.add(source)
    with place.lock():
        place.choose(choice or Choice(sources[0].name))
    return place


def start(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the starter to its end as a service would."""
    command = [sys.executable, "-I", "-S", "-B", str(place.starter), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def changed_package(folder: Path, before: str = "", *, level: int | None = None) -> Path:
    """Return a copy of the agent's package whose launcher does ``before`` first; indented as the line that follows."""
    package = folder / "fleetroll_agent"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    main = package / "launcher" / "main.py"
    text = main.read_text("utf-8")
    assert BODY in text
    main.write_text(text.replace(BODY, before + BODY), "utf-8")
    if level is not None:
        versions = package / "launcher" / "versions.py"
        versions.write_text(versions.read_text("utf-8").replace("LEVEL = 1", f"LEVEL = {level}"), "utf-8")
    return package


def tear(place: Place, name: str) -> None:
    """Change one byte of a program's file."""
    path = place.folder / starter.PROGRAMS / name / "fleetroll_agent" / "launcher" / "main.py"
    path.write_bytes(path.read_bytes() + b"#")


def words(run: Sequence[str]) -> str:
    """Return what the small program prints for these arguments."""
    return " ".join(run) + "\n"
