"""Where keys stand. In the texts every number is the number of its own line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.settings.lines import MAX_DEPTH, locate
from fleetroll_agent.settings.toml import read_quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll_agent.settings.faults import KeyPath

EVERY_SHAPE = Path(__file__).with_name("every_shape.toml").read_text("utf-8")


def numbers(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """Path and value of each number in a document; 0 is none."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from numbers(each, (*path, name))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from numbers(each, (*path, place))
    elif isinstance(value, int):
        yield path, value


def wrong(text: str) -> dict[KeyPath, tuple[int, int]]:
    """The numbers of a text that are not on the line that was found."""
    lines = locate(text, read_quoted)
    found = numbers(tomllib.loads(text))
    return {path: (at, line) for path, line in found if line and (at := lines.of(path)) != line}


def test_every_shape_of_a_key_is_found() -> None:
    """Quotes, dots, texts over many lines, arrays, inline tables: none hides a key or makes one up."""
    assert len(list(numbers(tomllib.loads(EVERY_SHAPE)))) == 24
    assert wrong(EVERY_SHAPE) == {}
    assert wrong(EVERY_SHAPE.replace("\n", "\r\n")) == {}


def test_a_table_is_where_its_own_header_is() -> None:
    """A header says more than the header of a table below it that came first."""
    lines = locate(EVERY_SHAPE, read_quoted)
    assert lines.of(("below", "first")) == 27
    assert lines.of(("below",)) == 29
    assert lines.of(("several",)) == 31
    assert lines.of(("d", "o")) == 6


def test_what_is_nowhere_is_at_the_nearest_thing_around_it() -> None:
    """A missing key is told at the table that misses it."""
    lines = locate("\n[a]\nb = { c = 1 }\n", read_quoted)
    assert lines.of(("a", "x", "y")) == 2
    assert lines.of(("a", "b", "x")) == 3
    assert lines.of(("x",)) == 1
    assert locate("", read_quoted).of(("x",)) == 1


def test_depth_costs_no_stack() -> None:
    """What lies too deep to be a setting is left alone."""
    deep = 50 * MAX_DEPTH
    lines = locate(f"a = 1\nb = {'[' * deep}{']' * deep}\nc = 3\n", read_quoted)
    assert lines.of(("b",)) == 2


VALUES = ["@", "[@, @]", "[ # [\n@\n,\n@ ]", "{ x = @, y.z = @ }", "'''\n'' = 1'''", '"""\n[a]\n#"""', "{}"]
NAMES = ["a", "b-c", '"d.e"', "'f'", '"\\u0067"']


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A text of tables, each with its own name, in many styles; numbers are the lines that they stand on."""
    rows: list[str] = []
    for table in range(draw(st.integers(0, 4))):
        rows += draw(st.lists(st.sampled_from(["", "# [x]", "\t# y = 1"]), max_size=2))
        rows.append(f"[t{table}.{draw(st.sampled_from(NAMES))}]")
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
            key = draw(st.sampled_from([name, f"{name} . x", f" {name}.'y z'"]))
            for part in f"{key} = {draw(st.sampled_from(VALUES))}".split("\n"):
                rows.append(part.replace("@", str(len(rows) + 1)))
    return "\n".join(rows)


@given(documents())
def test_any_mixture_of_styles_is_found(text: str) -> None:
    """However a file is written, its keys are on their lines."""
    assert wrong(text) == {}


SHARDS = ["[", "]", "[[", "{", "}", "=", ",", ".", '"', "'", '"""', "'''", "\\", "#", "\n", " ", "a", "1", "\r\n", "\0"]


@given(st.lists(st.sampled_from(SHARDS), max_size=60).map("".join) | st.text())
def test_the_scan_of_any_text_ends(text: str) -> None:
    """What is no TOML gives lines of the text, or none."""
    lines = locate(text, read_quoted)
    last = text.count("\n") + 1
    found: dict[Any, int] = lines._found
    assert all(1 <= line <= last for line in found.values())
