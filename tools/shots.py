"""Takes pictures of the console's screens, from the recording of the tests.

Usage: python -m tools.shots FOLDER. The drawing in the handbook is made as well. Needs libcairo. The font is DejaVu
Sans Mono: the framework's drawing names one that would have to be fetched.
"""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cairosvg

from fleetroll_tui.model.updates import Changed, Lost, Stand
from fleetroll_tui.model.values import Decision, Switch
from tests.tui import papers
from tests.tui.driving import MIDDLE, NARROW, WIDE, PlayedServer, Ticks, console, driven, played, press, settle, still

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetroll_tui.app import ConsoleApp

FONT = "DejaVu Sans Mono"
SCENES: dict[str, Sequence[str]] = {
    "overview": (),
    "rollouts": ("2",),
    "rollout": ("2", "enter"),
    "rollout-hosts": ("2", "enter", "tab"),
    "rollout-events": ("2", "enter", "tab", "tab", "tab"),
    "failures": ("2", "x"),
    "hosts": ("3", "s"),
    "hosts-filter": ("3", "space", "slash", *"state:failde"),
    "host": ("3", "slash", *"00024", "enter", "enter"),
    "continue": ("2", "j", "enter", "c"),
    "cancel": ("2", "enter", "X"),
    "halt": ("H",),
    "help": ("2", "enter", "question_mark"),
    "palette": ("2", "colon"),
}


PAPERS: dict[str, Sequence[str]] = {
    "releases": ("4",),
    "releases-filter": ("4", "slash", *"state:yanked|revoked"),
    "release": ("4", "G", "k", "k", "enter"),
    "release-artefacts": ("4", "G", "k", "k", "enter", "tab"),
    "release-policy": ("4", "G", "k", "k", "enter", "tab", "tab", "tab"),
    "yank": ("4", "G", "k", "k", "Y"),
    "promote": ("4", "G", "k", "k", "P"),
    "floor": ("4", "G", "k", "k", "F"),
    "server": ("0",),
    "anchors": ("0", "tab"),
}
"""Screens of what is asked beside the watch: a recording has nothing of it."""


PICTURE = Path("docs/pictures/console.svg")
"""The drawing in the handbook."""


def local(svg: str, font: str) -> str:
    """Return a drawing that names no font of elsewhere."""
    bare = re.sub(r"@font-face\s*{[^}]*}|<!--.*?-->", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family:[^;]*;", f"font-family: {font};", bare)


def png(svg: str, path: Path) -> None:
    """Write a drawing as a picture."""
    cairosvg.svg2png(bytestring=local(svg, FONT).encode(), write_to=str(path), output_width=1600)


async def picture() -> str:
    """Return the drawing of the handbook."""
    async with driven(console(), MIDDLE) as pilot:
        await press(pilot, *SCENES["rollout"])
        await still(pilot)
        return local(pilot.app.export_screenshot(title="fleetroll-console"), f"{FONT}, monospace")


async def shoot(folder: Path, name: str, keys: Sequence[str], size: tuple[int, int], app: ConsoleApp) -> None:
    """Press keys and take one picture."""
    async with driven(app, size) as pilot:
        for key in keys:
            await press(pilot, key)
        await still(pilot)
        png(app.export_screenshot(), folder / f"{name}-{size[0]}x{size[1]}.png")


async def stale(folder: Path, size: tuple[int, int]) -> None:
    """Take a picture of a view that has lost its server."""
    ticks = Ticks()
    app = console(ticks=ticks)
    app.server.recording = False
    async with driven(app, size) as pilot:
        await press(pilot, "2", "enter")
        await settle(pilot)
        ticks.at += 12
        app.session.take(Lost("UNAVAILABLE", "connection refused", "is the server running?", tries=3))
        await settle(pilot)
        png(app.export_screenshot(), folder / f"stale-{size[0]}x{size[1]}.png")


async def lift(folder: Path, size: tuple[int, int]) -> None:
    """Take a picture of the question whether a kill switch is to be lifted."""
    app = console()
    app.server.recording = False
    async with driven(app, size) as pilot:
        said = Decision("ben", "disk alarms on every second host", at=app.session.now - 600)
        switch = Switch("fleet/eu-edge", active=True, decision=said, in_use=4, epoch=7)
        app.session.take(Changed(app.session.now, Stand(switches=(switch,))))
        app.session.link.loaded = True
        await press(pilot, "2", "enter", "L")
        await still(pilot)
        png(app.export_screenshot(), folder / f"lift-{size[0]}x{size[1]}.png")


def answering(**answers: object) -> PlayedServer:
    """Return a server that answers beside the watch, some of it otherwise."""
    server = played()
    server.papers.update(answers)
    return server


async def asked(folder: Path, size: tuple[int, int]) -> None:
    """Take pictures of what is asked beside the watch, of a RECOVERY, of keys that are elsewhere or ending."""
    for name, keys in PAPERS.items():
        await shoot(folder, name, keys, size, console(played()))
    await shoot(folder, "yank-offline", PAPERS["yank"], size, console(answering(signing=papers.signing("offline"))))
    recovering = {"recovery": papers.recovery()}
    for name, keys in {"overview": ("1",), "server": ("0",), "end": ("0", "E"), "admit": ("0", "A")}.items():
        await shoot(folder, f"recovery-{name}", keys, size, console(answering(**recovering)))
    ending = papers.signing(ends={"timestamp": -0.1, "products/shop": 3})
    readable = replace(ending, readable_root_keys=("/root/fleetroll-root/root-1.key",))
    await shoot(folder, "server-ending", ("0",), size, console(answering(signing=readable)))


async def main(folder: Path) -> None:
    """Take every picture in every size."""
    for size in (WIDE, NARROW):
        for name, keys in SCENES.items():
            await shoot(folder, name, keys, size, console())
        await stale(folder, size)
        await lift(folder, size)
        await asked(folder, size)
    for name in ("overview", "rollout"):
        await shoot(folder, f"{name}-light", SCENES[name], WIDE, console(theme_name="light"))
        await shoot(folder, f"{name}-ascii", SCENES[name], NARROW, console(ascii_only=True))
        await shoot(folder, name, SCENES[name], MIDDLE, console())
    for name in ("releases", "release", "server"):
        for size in (WIDE, NARROW):
            await shoot(folder, f"{name}-light", PAPERS[name], size, console(played(), theme_name="light"))
            await shoot(folder, f"{name}-ascii", PAPERS[name], size, console(played(), ascii_only=True))
        await shoot(folder, name, PAPERS[name], MIDDLE, console(played()))


if __name__ == "__main__":
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(into))
    PICTURE.write_text(asyncio.run(picture()), "utf-8")
    print(f"{len(list(into.glob('*.png')))} pictures in {into}")
