"""Colours by what they mean, for a dark and a light terminal. The hues are those of Okabe and Ito.

Each foreground has a contrast of at least 3:1 on every background that text stands on; a test computes it. The grounds
are nearly grey, so that a terminal of 256 colours takes them for different greys, and not all for black.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

from textual.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Palette:
    """One theme's colours: what stands in front, then what stands behind."""

    text: str
    muted: str
    accent: str
    ok: str
    active: str
    wait: str
    bad: str
    back: str
    base: str
    zebra: str
    bar: str
    cursor: str
    cursor_idle: str

    def of(self, role: str) -> str:
        """Return a colour by its name."""
        return str(getattr(self, role))


FRONT = ("text", "muted", "accent", "ok", "active", "wait", "bad", "back")
BEHIND = ("base", "zebra", "bar", "cursor", "cursor_idle")

DARK = Palette(
    text="#e4e7ea",
    muted="#98a2ad",
    accent="#56b4e9",
    ok="#1fb58a",
    active="#56b4e9",
    wait="#e69f00",
    bad="#f0713c",
    back="#d58bb8",
    base="#111214",
    zebra="#17191c",
    bar="#22262b",
    cursor="#1b4060",
    cursor_idle="#2b3036",
)
LIGHT = Palette(
    text="#16202a",
    muted="#5d6a76",
    accent="#005a8f",
    ok="#00704f",
    active="#0067a3",
    wait="#8a5a00",
    bad="#b34700",
    back="#8f4470",
    base="#fbfcfd",
    zebra="#f3f4f5",
    bar="#e4e6e8",
    cursor="#cfe3f3",
    cursor_idle="#d6d9dc",
)
PALETTES: Mapping[str, Palette] = MappingProxyType({"dark": DARK, "light": LIGHT})


@dataclass(frozen=True)
class Band:
    """The colours of an environment's name."""

    front: str
    behind: str


BANDS: Mapping[str, Band] = MappingProxyType(
    {
        "production": Band("#ffffff", "#a83a00"),
        "staging": Band("#ffffff", "#00664a"),
        "other": Band("#ffffff", "#3d4f9f"),
        "recording": Band("#000000", "#e69f00"),
    }
)
_PRODUCTION = ("prod", "live")


def band_of(environment: str) -> str:
    """Return the kind of an environment by its name: what may be production is shown as production.

    That something is none is never guessed: it has to be said in the file of contexts.
    """
    name = environment.casefold()
    return "production" if any(part in name for part in _PRODUCTION) else "other"


def theme(name: str) -> Theme:
    """Return the framework's theme for a palette: "dark" or "light"."""
    palette = PALETTES[name]
    return Theme(
        name=f"fleetroll-{name}",
        dark=name == "dark",
        primary=palette.accent,
        secondary=palette.muted,
        accent=palette.wait,
        warning=palette.wait,
        error=palette.bad,
        success=palette.ok,
        foreground=palette.text,
        background=palette.base,
        surface=palette.zebra,
        panel=palette.bar,
        variables={f"c-{field.name.replace('_', '-')}": palette.of(field.name) for field in fields(palette)}
        | {"block-cursor-foreground": palette.text, "block-cursor-background": palette.cursor},
    )


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb", 0 to 1, as WCAG 2 defines it."""
    low = 0.04045
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= low else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
