"""Any text at all, and any settings at all."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import tomlkit
from hypothesis import example, given
from hypothesis import strategies as st

from fleetroll_agent.settings import Settings, parse_settings, warnings
from fleetroll_agent.settings.product_table import SECTIONS
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from tests.agent.settings.told import COMMAND, SLOTS
from tests.agent.settings.writing import any_settings, document_of

SHARDS = ["[", "]", "{", "}", "=", ",", ".", '"', "'", '"""', "\\", "#", "\n", " ", "\r\n", "\0", "\ud800", "products"]
NAMES = sorted({name for section in SECTIONS for name in section.names})
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=3),
    max_leaves=8,
)


def refused(text: str) -> RequestError | None:
    """The error of a text; None where it is taken."""
    try:
        parse_settings(text)
    except RequestError as error:
        return error
    return None


def judge(text: str) -> None:
    """See to it that a text is taken, or refused as it should be."""
    error = refused(text)
    if error is not None:
        assert error.code is Code.INVALID_ARGUMENT
        assert str(error).isprintable()
        assert 1 <= int(error.details["line"]) <= text.count("\n") + 1


@given(st.text() | st.lists(st.sampled_from([*SHARDS, *NAMES]), max_size=40).map("".join))
@example("a = 1979-13-99")
@example("a = 99:99:99")
@example("\ufeff[go]")
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever stands in the file, the answer is settings or one kind of error, with a line that there is."""
    judge(text)


@given(
    st.sampled_from(["reconnect", "go", "identity", "host", "download", "products", "products.a", "products.agent"]),
    st.sampled_from(NAMES),
    plain,
)
def test_no_value_of_any_key_is_more_than_refused(table: str, key: str, value: Any) -> None:
    """Every key may be given a value of any type."""
    document = tomlkit.document()
    inner: Any = document
    for name in table.split("."):
        inner[name] = tomlkit.table()
        inner = inner[name]
    with suppress(tomlkit.exceptions.TOMLKitError, ValueError, TypeError):
        # The writer knows no None, and no text that is none.
        inner[key] = value
        judge(tomlkit.dumps(document))


@given(st.sampled_from([SLOTS, COMMAND]), st.integers(0, 200), st.integers(0, 200), st.text(max_size=5))
def test_a_file_with_a_hole_is_no_more_than_refused(text: str, begin: int, length: int, instead: str) -> None:
    """A slip of the hand in a good file is told like any other fault."""
    judge(text[:begin] + instead + text[begin + length :])


@given(any_settings())
def test_what_is_written_is_read_again(settings: Settings) -> None:
    """Any settings that a file can say are the settings that are read from it."""
    text = tomlkit.dumps(document_of(settings))
    assert parse_settings(text) == settings
    assert all(said.isprintable() for said in warnings(settings, lambda path: False))
