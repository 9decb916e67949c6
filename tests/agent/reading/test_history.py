"""The ends of attempts, from the records and the journal, and what their commands printed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.app import main
from fleetroll_agent.hooks.output import AttemptLog
from fleetroll_agent.jobs.journal import Entry, Journal
from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.values import Outcome, ProductRecord, Report, Said
from fleetroll_agent.reading import cli as reading_cli
from fleetroll_agent.reading.history import document, history, sentence
from fleetroll_agent.reading.instants import instant, span, unix
from fleetroll_common.values.clock import FakeClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.ids import SystemIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = 1_800_000_000.0
DONE = Outcome(3, 7, "1.1.0", Said.SUCCEEDED, ended_at=AT + 90, running_version="1.1.0")
BACK = Outcome(9, 0, "1.2.0", Said.ROLLED_BACK, code=Code.HEALTH_FAILED, message="503", ended_at=AT + 500, local=2)
RECORD = ProductRecord("shop", outcomes=(DONE, BACK))


def entries(*reports: Report, product: str = "shop") -> list[Entry]:
    return [Entry(number, product, report) for number, report in enumerate(reports, start=1)]


TAKEN = Report(1, AT, 7, Said.OFFERED)
STAGED = Report(2, AT + 30, 7, Said.STAGED)
ENDED = Report(3, AT + 90, 7, Said.SUCCEEDED, running_version="1.1.0")


def test_the_newest_end_comes_first_and_a_duration_goes_from_the_taking_to_the_end() -> None:
    """Of an attempt whose beginning is not journaled any more it is not known."""
    past = history({"shop": RECORD}, entries(TAKEN, STAGED, ENDED))
    assert [document(each)["id"] for each in past] == ["local:2", "7"]
    assert [each.seconds for each in past] == [None, 90]


def test_an_end_stands_once_though_record_and_journal_both_have_it() -> None:
    """And what the record has dropped is taken from the journal."""
    failed = Report(4, AT + 100, 8, Said.FAILED, code=Code.WRONG_HASH, message="no")
    past = history({"shop": RECORD}, entries(TAKEN, ENDED, failed))
    assert [(each.outcome.generation, each.outcome.version) for each in past] == [(0, "1.2.0"), (8, ""), (7, "1.1.0")]
    alone = history({}, entries(TAKEN, ENDED))
    assert [(each.product, each.outcome.version, each.seconds) for each in alone] == [("shop", "1.1.0", 90)]


def test_attempts_of_two_products_with_one_number_are_two() -> None:
    """Generations count per product."""
    records = {"shop": ProductRecord("shop", outcomes=(DONE,)), "till": ProductRecord("till", outcomes=(DONE,))}
    past = history(records, [*entries(TAKEN, ENDED), *entries(ENDED, product="till")])
    assert [(each.product, each.seconds) for each in past] == [("shop", 90), ("till", 0)]


def test_a_clock_that_went_back_leaves_no_duration() -> None:
    """Rather none than a wrong one."""
    early = Report(3, AT - 5, 7, Said.SUCCEEDED)
    assert [each.seconds for each in history({}, entries(TAKEN, early))] == [None]


def test_a_line_says_when_what_how_long_who_and_why() -> None:
    """A person of the host by name, where that was written down."""
    past = history({"shop": RECORD}, entries(TAKEN, ENDED))
    back, done = (sentence(each).split() for each in past)
    assert done == ["2027-01-15T08:01:30Z", "shop", "7", "1.1.0", "succeeded", "1m30s", "server"]
    assert back[1:] == ["shop", "local:2", "1.2.0", "rolled", "back", "-", "local", "HEALTH_FAILED:", "503"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59, "59s"), (90, "1m30s"), (7260, "2h1m"), (90000, "1d1h"), (None, "-"), (-1, "-"), (1e300, "-")],
)
def test_spans_have_two_units_at_most(seconds: float | None, words: str) -> None:
    """What no clock measures is not shown."""
    assert span(seconds) == words


def test_instants_that_no_calendar_has_are_none() -> None:
    """A record may hold any number."""
    assert instant(1e300) is None
    assert instant(AT) == "2027-01-15T08:00:00Z"
    assert unix("2027-01-15T08:00:00.000000Z") == AT
    assert unix("yesterday") is None
    assert unix(None) is None
    assert unix("2027-01-15T08:00:00") is None


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state folder with a record, a journal and two logs of attempts."""
    ProductFile(tmp_path, "shop").write(RECORD)
    Journal(tmp_path / "journal", SystemIds()).append("shop", [TAKEN, ENDED])
    folder = tmp_path / "log" / "shop"
    folder.mkdir(parents=True)
    for age, name in enumerate(("local-2", "7")):
        (folder / f"{name}.log").write_text(f"backup: of {name}\nsmoke: \x1b[2Jfine\n")
        os.utime(folder / f"{name}.log", (AT - age, AT - age))
    (tmp_path / "agent.log.1").write_text("".join(f"old {number}\n" for number in range(300)))
    (tmp_path / "agent.log").write_text("new 1\nnew 2\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], state: Path, *words: str, code: int = 0) -> str:
    assert main([*words, "--state", str(state)]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return out if code == 0 else err


def test_history_is_bounded_and_says_how_many_it_leaves_out(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one product, or of all."""
    found = json.loads(said(capsys, state, "history", "shop", "--limit", "1", "--json"))
    assert (found["attempts"][0]["id"], found["left_out"]) == ("local:2", 1)
    assert len(said(capsys, state, "history").splitlines()) == 2
    assert said(capsys, state, "history", "till") == "no attempt has ended here\n"


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "٣"])
def test_a_limit_out_of_bounds_is_wrong_usage(state: Path, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By argparse, as every wrong usage."""
    with pytest.raises(SystemExit) as caught:
        main(["history", "--limit", limit, "--state", str(state)])
    assert caught.value.code == 2
    assert "no number from 1 to 1000" in capsys.readouterr().err


def test_a_log_is_the_newest_or_the_named_attempts(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in it is obeyed by a terminal."""
    assert said(capsys, state, "log", "shop") == "backup: of local-2\nsmoke: \\x1b[2Jfine\n"
    assert said(capsys, state, "log", "shop", "local:2") == said(capsys, state, "log", "shop")
    assert said(capsys, state, "log", "shop", "7").startswith("backup: of 7\n")
    assert "name one of local:2, 7" in said(capsys, state, "log", "shop", "8", code=21)
    assert "NOT_FOUND" in said(capsys, state, "log", "till", code=21)
    assert "NOT_FOUND" in said(capsys, state, "log", "../../identity", code=21)


def test_the_agents_own_log_is_its_end_and_goes_back_over_the_file_before(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many lines as were asked for, and how many come before."""
    found = json.loads(said(capsys, state, "log", "--lines", "3", "--json"))
    assert (found["lines"], found["left_out"]) == (["old 299", "new 1", "new 2"], 299)
    lines = said(capsys, state, "log", "--lines", "1").splitlines()
    assert lines == [f"301 earlier lines are in {state / 'agent.log'}", "new 2"]


def test_without_a_state_folder_each_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence, with what to do."""
    for words in (["policy"], ["history"], ["log"]):
        assert "name the folder that enrolment made" in said(capsys, tmp_path / "gone", *words, code=1)


class Looks:
    """Stands in for the waits between two looks: writes what happens meanwhile, then ends it as Ctrl-C does."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        self._happens = list(happens)

    def sleep(self, _seconds: float) -> None:
        if not self._happens:
            raise KeyboardInterrupt
        self._happens.pop(0)()


def added(path: Path, text: str) -> Callable[[], object]:
    def add() -> None:
        with path.open("a") as log:
            log.write(text)

    return add


def test_a_log_is_followed_over_its_being_begun_anew(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole lines, each once, also the last ones of the file before."""
    log = state / "agent.log"

    def turn() -> None:
        with log.open("a") as file:
            file.write("new 4\n")
        log.replace(state / "agent.log.1")
        log.write_text("newer 1\n")

    looks = Looks(added(log, "new 3\nhal"), added(log, "f\n"), turn, added(log, "newer 2\n"), lambda: None)
    monkeypatch.setattr(reading_cli, "time", looks)
    lines = said(capsys, state, "log", "--follow", "--lines", "1").splitlines()
    assert lines[1:] == ["new 2", "new 3", "half", "new 4", "newer 1", "newer 2"]


def test_the_output_of_commands_is_followed_into_the_next_attempt_and_over_a_shortening(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is full loses its middle; what was shown is not shown again."""
    kept = AttemptLog(state, "shop", "local-2", FakeClock())

    def flood() -> None:
        for number in range(3000):
            kept.add("backup", f"{number:5} {'x' * 100}")

    def short() -> None:
        size = kept.path.stat().st_size
        while kept.path.stat().st_size >= size:
            kept.add("backup", "y" * 100)
            size = max(size, kept.path.stat().st_size)
        kept.add("backup", "after the cut")

    looks = Looks(flood, short, lambda: AttemptLog(state, "shop", "8", FakeClock()).add("pull", "eight"), lambda: None)
    monkeypatch.setattr(reading_cli, "time", looks)
    lines = said(capsys, state, "log", "shop", "--follow", "--lines", "1").splitlines()
    assert sum(line.endswith("after the cut") for line in lines) == 1
    assert lines[-2] == "shop 8:"
    assert lines[-1].endswith("pull: eight")
    cut = next(place for place, line in enumerate(lines) if line.endswith("y" * 100))
    assert not any("xxx" in line for line in lines[cut:])
    assert len([line for line in lines if " 2999 " in line]) == 1


def test_followed_as_json_each_look_is_an_object(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_cli, "time", Looks(added(state / "agent.log", "new 3\n"), lambda: None))
    first, second = said(capsys, state, "log", "--follow", "--json", "--lines", "1").splitlines()
    assert json.loads(first)["lines"] == ["new 2"]
    assert json.loads(second) == {"lines": ["new 3"]}
