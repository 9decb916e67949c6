"""What all crash proofs share: their counts go into one table at the end of the run."""

from __future__ import annotations

import pytest

from tests.crash.counts import PROPERTY, Count, Counts, table


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counts:
    """Return what takes the counts of a test."""
    return Counts(request.node.user_properties)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table; also where a proof failed, what was run counts."""
    reports = [report for how in ("passed", "failed") for report in terminalreporter.stats.get(how, [])]
    called = [report for report in reports if report.when == "call"]
    known = [Count.read(words) for report in called for name, words in report.user_properties if name == PROPERTY]
    if known:
        terminalreporter.section("cases run, by kind and fault")
        for line in table(known):
            terminalreporter.write_line(line)
