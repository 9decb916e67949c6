"""Colours, signs and text: contrast, ASCII, widths, and words of others that can do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color, ColorSystem

from fleetroll_tui.model import fields
from fleetroll_tui.paint import Paint, pad, size
from fleetroll_tui.signs import ATTEMPTS, BAR, ROLLOUTS, SIGNS, SPARKS, WAVES, sign_of, to_ascii
from fleetroll_tui.text import clean, clean_lines, clock_time, data_size, fit, lasting, short_lasting
from fleetroll_tui.theme import BANDS, BEHIND, FRONT, PALETTES, band_of, contrast
from fleetroll_tui.widgets.table import Column, widths

HOSTILE = [
    "\x1b[2J\x1b[31mred",
    "\x1b]52;c;ZXZpbA==\x07",
    "a\rb\nc\td\x00e\x7f\x9b31m",
    "[bold red]markup[/] [link=x]y[/link]",
    "evil\u202egnp.exe",
    "zero\u200bwidth\u200d\u2060\ufeff",
    "a" + "\u0301" * 500,
    "\u05d0\u05d1\u0627",
    "x" * 10_000,
    "wide 漢字" * 40,
]


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("front", FRONT)
def test_every_colour_is_read_on_every_ground(name: str, front: str) -> None:
    palette = PALETTES[name]
    least = 4.5 if front == "text" else 3.0
    assert {
        behind: ratio for behind in BEHIND if (ratio := contrast(palette.of(front), palette.of(behind))) < least
    } == {}


@pytest.mark.parametrize("name", BANDS)
def test_every_band_is_read(name: str) -> None:
    assert contrast(BANDS[name].front, BANDS[name].behind) >= 4.5


@pytest.mark.parametrize("name", PALETTES)
def test_the_grounds_differ_in_256_colours_too(name: str) -> None:
    palette = PALETTES[name]
    grounds = ("base", "bar", "cursor", "cursor_idle")
    seen = {Color.parse(palette.of(ground)).downgrade(ColorSystem.EIGHT_BIT).number for ground in grounds}
    assert len(seen) == len(grounds)


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_production_never_looks_like_staging() -> None:
    assert band_of("prod-eu") == "production"
    for name in ("Staging", "fleet.devices.acme.com", "latest.example", "127.0.0.1:8443"):
        assert band_of(name) == "other", "that something is no production is never guessed"
    assert band_of("production-test") == "production", "what may be production is shown as production"
    assert band_of("10.0.0.1:8443") == "other"
    assert len({band.behind for band in BANDS.values()}) == len(BANDS)


def test_every_state_has_a_sign_with_a_word() -> None:
    assert set(fields.HOST_STATES) <= set(ATTEMPTS)
    assert set(fields.ROLLOUT_STATES) == set(ROLLOUTS)
    for table in (ATTEMPTS, ROLLOUTS, WAVES):
        for sign in table.values():
            assert sign.word
            assert cell_len(sign.glyph) == 1
            assert sign.ascii.isascii()
    assert sign_of(ATTEMPTS, "state 99").word == "state 99"


def test_states_that_share_a_glyph_share_its_meaning_not_its_word() -> None:
    words = [sign.word for state, sign in ATTEMPTS.items() if state != "none"]
    assert len(set(words)) == len(words)


def test_the_parts_of_a_bar_differ_without_colour_in_both_sets_of_letters() -> None:
    fillings = [filling for _, filling, _ in BAR]
    assert len(set(fillings)) == len(fillings)
    assert len({to_ascii(filling) for filling in fillings}) == len(fillings)


def test_every_sign_has_an_ascii_twin() -> None:
    glyphs = {sign.glyph for table in (ATTEMPTS, ROLLOUTS, WAVES) for sign in table.values()}
    used = glyphs | set(SPARKS) | {filling for _, filling, _ in BAR}
    assert {sign for sign in used if not sign.isascii() and sign not in SIGNS} == set()
    assert all(twin.isascii() for twin in SIGNS.values())
    assert to_ascii("a → é") == "a -> ?"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_words_of_others_are_one_harmless_line(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert len(shown) <= 201
    assert not set(shown) & set("\u202e\u200b\u200d\ufeff\x1b\n")
    assert all(cell_len(letter) > 0 for letter in shown)


@given(st.text(max_size=300), st.integers(0, 60), st.booleans())
def test_a_cell_has_exactly_its_width(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(clean(text), width, right=right)) == width
    assert size(pad([(clean(text), "text"), ("x", "bad")], width)) == width


@given(st.text(max_size=300))
def test_cleaning_is_harmless_and_done_once(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    assert clean(shown, 400) == shown


def test_an_accent_is_shown_as_people_write_it() -> None:
    assert clean("cafe\u0301") == "café"


def test_output_of_programs_keeps_its_lines_and_nothing_else() -> None:
    assert clean_lines("one\ttwo\r\n\x1b[31mthree\n") == ["one two", "\\x1b[31mthree"]
    assert len(clean_lines("x\n" * 10_000, 40)) == 40


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (0, "0 s", "0s"),
        (47, "47 s", "47s"),
        (185, "3 min 5 s", "3m"),
        (1860, "31 min", "31m"),
        (7800, "2 h 10 min", "2h"),
        (86400 * 41, "41 d", "41d"),
    ],
)
def test_durations_are_read_by_people(seconds: float, long: str, short: str) -> None:
    assert (lasting(seconds), short_lasting(seconds)) == (long, short)


def test_times_are_utc_and_name_the_day_when_it_is_another() -> None:
    noon = 1_790_000_000
    assert clock_time(noon) == "14:13:20Z"
    assert clock_time(noon - 86400, noon) == "09-20 14:13Z"
    assert clock_time(0) == "\N{EN DASH}"
    assert data_size(12_400_000_000) == "12 GB"
    assert data_size(999) == "999 B"


@pytest.mark.parametrize(
    "at", [253_402_300_800, -62_135_596_801, 2.0**63, -(2.0**63), 1e30, float("inf"), float("nan")]
)
def test_an_instant_that_no_calendar_holds_is_shown_as_none(at: float) -> None:
    assert clock_time(at) == clock_time(at, 1_790_000_000) == "\N{EN DASH}"
    assert clock_time(1_790_000_000, at) == "09-21 14:13Z", "another day than the one that nobody knows"


def test_columns_that_do_not_fit_go_by_their_rank() -> None:
    columns = [
        Column("a", 10, lambda *_: [], flex=1, most=30),
        Column("b", 10, lambda *_: [], rank=1),
        Column("c", 10, lambda *_: [], rank=2),
    ]
    assert [(column.title, width) for column, width in widths(columns, 40)] == [("a", 18), ("b", 10), ("c", 10)]
    assert [column.title for column, _ in widths(columns, 31)] == ["a", "b"]
    assert [column.title for column, _ in widths(columns, 5)] == ["a"]
    assert {column.title: width for column, width in widths(columns, 200)}["a"] == 30


def test_columns_of_a_rate_stand_on_a_line() -> None:
    paint = Paint(PALETTES["dark"])
    (low,) = paint.columns([0, 1, 4], "ok", 1)
    assert [mark for mark, _ in low] == ["▁", "▂", "█"]
    high, low = paint.columns([0, 4], "ok", 2)
    assert [mark for mark, _ in high] == [" ", "█"]
    assert [mark for mark, _ in low] == ["▁", "█"]
