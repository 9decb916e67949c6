"""The table of all crash proofs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.crash.counts import PROPERTY, Count, Counts, minutes, seed, table

if TYPE_CHECKING:
    import pytest


def test_the_last_line_has_the_sums() -> None:
    lines = table([Count("real", "slots", "EIO", 2, 5, 9), Count("model", "file", "crash", 40, 40, 80)])
    assert [line.split() for line in lines] == [
        ["level", "kind", "fault", "run", "distinct", "exist"],
        ["model", "file", "crash", "40", "40", "80"],
        ["real", "slots", "EIO", "2", "5", "9"],
        ["sum", "42", "45", "89"],
    ]


def test_a_fault_that_was_not_run_has_its_line_too() -> None:
    properties: list[tuple[str, object]] = []
    Counts(properties).add("model", "file", Counter({"EIO": 3}), Counter({"EIO": 4, "crash": 5}))
    assert properties == [
        (PROPERTY, ["model", "file", "EIO", 3, 4, 4]),
        (PROPERTY, ["model", "file", "crash", 0, 5, 5]),
    ]


def test_a_sample_has_its_share_of_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUTES", "10")
    monkeypatch.setenv("SEED", "")
    assert (minutes(0.25), seed(7)) == (2.5, 7)
    monkeypatch.setenv("MINUTES", "")
    assert minutes(0.25) == 0
