"""Records with a checksum: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_common.durable import DamagedRecord, dump_record, load_record

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_RECORDS = st.dictionaries(st.text(max_size=6), _VALUES, max_size=4)

GOLDEN = b'{"crc32":"5ddcd809","record":{"a":1,"b":["x",null]}}\n'


def test_the_format_on_disk_is_fixed() -> None:
    """Another version of the program reads these very bytes."""
    assert dump_record({"b": ["x", None], "a": 1}) == GOLDEN
    assert load_record(GOLDEN) == {"a": 1, "b": ["x", None]}


@given(_RECORDS)
def test_a_record_is_read_back_as_it_was_written(record: dict[str, Any]) -> None:
    """Unknown fields included: there is no list of known ones."""
    assert load_record(dump_record(record)) == record


@given(_RECORDS, st.data())
def test_any_changed_byte_is_refused(record: dict[str, Any], data: st.DataObject) -> None:
    """Wherever it is."""
    good = bytearray(dump_record(record))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedRecord):
        load_record(bytes(good))


@given(_RECORDS, st.data())
def test_any_truncation_is_refused(record: dict[str, Any], data: st.DataObject) -> None:
    """An empty file too."""
    good = dump_record(record)
    with pytest.raises(DamagedRecord):
        load_record(good[: data.draw(st.integers(0, len(good) - 1))])


@pytest.mark.parametrize(
    "bad",
    [
        GOLDEN + GOLDEN,
        GOLDEN + b"\n",
        GOLDEN.replace(b":1", b": 1"),
        b'{"record":{"a":1}}\n',
        b'{"crc32":"00000000","record":[]}\n',
        b"[1]",
        b"[" * 100_000,
        b'{"crc32":"x","record":{"a":NaN}}',
        b"\xff\xfe",
    ],
)
def test_what_was_not_written_by_us_is_refused(bad: bytes) -> None:
    """Doubled, edited, without checksum, of another shape."""
    with pytest.raises(DamagedRecord):
        load_record(bad)


def test_the_error_does_not_show_the_content() -> None:
    """Records may hold secrets."""
    bad = dump_record({"secret": "hunter2"})[:-3]
    with pytest.raises(DamagedRecord) as caught:
        load_record(bad)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("bad", [{1: "a"}, {"a": math.nan}, {"a": b"bytes"}])
def test_what_json_can_not_hold_is_refused_at_writing(bad: dict[Any, Any]) -> None:
    """A key that is no string would come back as another key."""
    with pytest.raises((TypeError, ValueError)):
        dump_record(bad)
