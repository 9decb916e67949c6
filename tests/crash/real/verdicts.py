"""What must hold of every real host, whatever is updated on it and whatever went wrong."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from tests.crash.real.host import FINAL, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.crash.real.host import RealHost
    from tests.crash.real.kill import Kill

GOES_ON = ""
"""What becomes of an attempt that a kill leaves to its course."""


def check_result(
    result: str, kills: Iterable[Kill], allowed: Iterable[frozenset[str]], undisturbed: str = SUCCEEDED
) -> None:
    """Judge a result: no kill may forbid it, and one that is not the undisturbed one needs a kill that brings it
    about.
    """
    choices = list(zip(kills, allowed, strict=True))
    for kill, words in choices:
        assert result in words or GOES_ON in words, f"{result} after {kill}; legal: {sorted(words)}"
    is_brought_about = any(result in words for _kill, words in choices)
    assert result == undisturbed or is_brought_about, f"{result} for no reason"


def check_one_at_a_time(host: RealHost) -> None:
    """Every process of an agent has its points in one piece: none did anything after the next one had begun."""
    pids = [pid for pid, _group in groupby(pid for pid, _role in host.agents())]
    assert len(pids) == len(set(pids)), f"two agents at once: {pids}"


def check_same_journal(host: RealHost) -> None:
    """What was acknowledged stands in the host's journal, and nothing in it is missing."""
    agent, journal = host.server.agent, host.journal()
    assert [report.sequence for report in agent.reports] == list(range(1, len(agent.reports) + 1))
    told = [(report.sequence, report.generation, report.step) for report in agent.reports]
    kept = [(entry.sequence, entry.report.generation, entry.report.step) for entry in journal]
    assert told == kept[: len(told)], "the server holds another journal than the host"


def check_one_result(host: RealHost, generation: int) -> None:
    """One result; a server that assigns the same generation again is told the same one again."""
    mine = (host.product, generation)
    entries = [entry for entry in host.journal() if (entry.product, entry.report.generation) == mine]
    said = [entry.report.said.value for entry in entries]
    for words in (host.server.states(generation, host.product), said):
        results = {word for word in words if word in FINAL}
        assert len(results) == 1, f"results of {generation}: {words}"
        first = next(place for place, word in enumerate(words) if word in FINAL)
        assert set(words[first:]) == results, f"something happened after the result of {generation}: {words}"
    times = sum(word in FINAL for word in said)
    assert times <= 1 + len(host.server.sessions), f"told without being asked: {said}"


def check_no_false_alarm(host: RealHost) -> None:
    """A host that was killed is the same host."""
    assert host.server.agent.forks == 0, "a crash looked like a copied identity"
