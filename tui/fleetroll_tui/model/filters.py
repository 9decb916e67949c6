"""The filter language: ``text state:failed fleet:eu-* label:site=ams version:<1.5 seen:>5m ! |``.

Words that stand side by side all have to hold. ``|`` between words is "or" and binds less; ``|`` inside a word gives
alternatives of one field: ``state:failed|lost``. ``!`` before a word turns it round. What is quoted is text, whatever
it holds. A filter is compiled once, and then asked of each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from fleetroll_tui.model.terms import FilterError, Test, term

if TYPE_CHECKING:
    from fleetroll_tui.model.fields import Fields

MAX_CHARS = 1_000
MAX_TERMS = 40
"""Each is asked of every row of a list, with ``|`` in vain too, and lists are long."""


class Word(NamedTuple):
    """A part of the filter: where it starts, what it says, and whether it was quoted."""

    at: int
    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Filter:
    """A compiled filter.

    Attributes:
        text: as it was written.
        holds: asks one row, at an instant.
        timed: True when the answer changes by time alone.
    """

    text: str
    holds: Test
    timed: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether every row passes."""
        return not self.text.strip()


def compile_filter(text: str, fields: Fields[Any]) -> Filter:
    """Read a filter.

    Raises:
        FilterError: it can't be read; the error says where and why (the writer's fault).
    """
    if len(text) > MAX_CHARS:
        raise FilterError(MAX_CHARS, f"a filter has at most {MAX_CHARS} characters")
    groups: list[list[Test]] = [[]]
    last_bar, size = -1, 0
    timed = False
    for negated, word in _signed(split(text)):
        if word.text == "|" and not word.quoted:
            if not groups[-1]:
                raise FilterError(word.at, "there is nothing before this |")
            groups.append([])
            last_bar = word.at
            continue
        read = term(word.at, word.text, fields, quoted=word.quoted)
        timed, size = timed or read.timed, size + read.size
        if size > MAX_TERMS:
            raise FilterError(word.at, f"a filter has at most {MAX_TERMS} terms, alternatives counted")
        groups[-1].append(_not(read.test) if negated else read.test)
    if last_bar >= 0 and not groups[-1]:
        raise FilterError(last_bar, "there is nothing after this |")
    return Filter(text, _any([_all(tests) for tests in groups]), timed)


def split(text: str) -> list[Word]:
    """Cut the text into words.

    Raises:
        FilterError: a quotation has no end (the writer's fault).
    """
    words: list[Word] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == '"':
            end = text.find('"', at + 1)
            if end < 0:
                raise FilterError(at, "this quotation has no end")
            words.append(Word(at, text[at + 1 : end], quoted=True))
            at = end + 1
        elif text[at] == "!":
            words.append(Word(at, "!"))
            at += 1
        else:
            end = at
            while end < len(text) and not text[end].isspace():
                end += 1
            words.append(Word(at, text[at:end]))
            at = end
    return words


def _signed(words: list[Word]) -> list[tuple[bool, Word]]:
    """Put each ``!`` to the word that it turns round."""
    found: list[tuple[bool, Word]] = []
    negated, sign_at = False, 0
    for word in words:
        if word.text == "!" and not word.quoted:
            negated, sign_at = not negated, word.at
            continue
        if negated and word.text == "|" and not word.quoted:
            raise FilterError(sign_at, "! stands before a word")
        found.append((negated, word))
        negated = False
    if negated:
        raise FilterError(sign_at, "! stands before a word")
    return found


def _not(test: Test) -> Test:
    return lambda row, now: not test(row, now)


def _all(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda row, now: all(test(row, now) for test in tests)


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda row, now: any(test(row, now) for test in tests)
