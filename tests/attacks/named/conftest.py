"""The scene of an attack, and one line that says what all of them came to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.attacks.named.scene import Scene, Stock, Tally, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PROPERTY = "named-attacks"


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Return the artefacts."""
    return Stock.build(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count what the attacks of a test come to."""
    counted = Tally()
    yield counted
    request.node.user_properties.append((PROPERTY, (counted.attacks, counted.installs, counted.stopped)))


@pytest.fixture
async def attacked(stock: Stock, tmp_path: Path, tally: Tally) -> AsyncIterator[Scene]:
    """Give a host and a server in somebody's hands."""
    async with scene(stock, tmp_path, tally) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many attacks were made, and what they came to; also where one did not end as it has to."""
    reports = [report for known in terminalreporter.stats.values() for report in known if hasattr(report, "when")]
    ends = [report for report in reports if report.when == "teardown"]
    known = [words for report in ends for name, words in report.user_properties if name == PROPERTY]
    sums: Counter[str] = Counter()
    for attacks, installs, stopped in known:
        sums.update(attacks=attacks, installs=installs, stopped=stopped)
    if known:
        text = f"attacks: {sums['attacks']} named, {sums['installs']} installs, {sums['stopped']} stopped"
        terminalreporter.write_line(text)
