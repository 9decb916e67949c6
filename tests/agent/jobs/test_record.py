"""A product's record comes back as it was written, from this version and from its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.jobs.keeper import ProductFile
from fleetroll_agent.jobs.record import read_record, read_value, record_json, value_json
from fleetroll_agent.jobs.values import Attempt, Outcome, ProductRecord, Report, Said, Stage, Step, Stop
from fleetroll_common.durable import dump_record, load_record
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError

if TYPE_CHECKING:
    from pathlib import Path

finite = st.floats(allow_nan=False, allow_infinity=False)
generations = st.integers(1, 2**40)
codes = st.none() | st.sampled_from(Code)
digests = st.just("") | st.text("0123456789abcdef", min_size=64, max_size=64)
attempts = st.builds(
    Attempt,
    generation=generations,
    version=st.text(max_size=20),
    soak_seconds=finite,
    retry_bad=st.booleans(),
    stage=st.sampled_from(Stage),
    step=st.none() | st.sampled_from(Step),
    sha256=digests,
    tries=st.integers(0, 3),
    stop=st.sampled_from(Stop),
    stop_code=codes,
    refused=codes,
    promoted=st.booleans(),
)
reports = st.builds(
    Report,
    number=generations,
    occurred_at=finite,
    generation=generations,
    said=st.sampled_from(Said),
    step=st.sampled_from(["", "self_test", "of_another_product"]),
    code=codes,
    message=st.text(max_size=50),
    output_tail=st.text(max_size=50),
    time_limit_seconds=st.none() | finite,
    retry_at=st.none() | finite,
    unproven=st.booleans(),
)
outcomes = st.builds(
    Outcome,
    number=generations,
    generation=generations,
    version=st.text(max_size=20),
    said=st.sampled_from(Said),
    code=codes,
    acked_at=st.none() | finite,
)
records = st.builds(
    ProductRecord,
    highest=generations,
    attempt=st.none() | attempts,
    waiting=st.none() | attempts,
    outcomes=st.lists(outcomes, max_size=3).map(tuple),
    bad=st.lists(digests, max_size=2).map(tuple),
    settled=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    reports=generations,
    outbox=st.lists(reports, max_size=3).map(tuple),
)


@given(records)
def test_what_is_written_is_read(record: ProductRecord) -> None:
    assert read_record(load_record(dump_record(record_json(record)))) == record


@given(reports)
def test_a_report_comes_back_as_it_was(report: Report) -> None:
    assert read_value(Report, value_json(report)) == report


@pytest.mark.parametrize("field", ["product", "highest", "attempt", "outcomes", "reports", "outbox"])
def test_a_missing_field_is_refused(field: str) -> None:
    document = record_json(ProductRecord())
    del document[field]
    with pytest.raises(AgentError):
        read_record(document)


def test_a_newer_versions_fields_are_passed_over_and_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "products"
    folder.mkdir()
    document = {**record_json(ProductRecord(highest=7)), "of_a_newer_version": [1, 2]}
    document["outbox"] = [{"number": 1, "occurred_at": 0, "generation": 7, "said": "STAGED", "colour": "red"}]
    (folder / "agent.json").write_bytes(dump_record(document))
    file = ProductFile(tmp_path)
    record = file.read()
    assert record.outbox[0].generation == 7
    file.write(record)
    assert load_record((folder / "agent.json").read_bytes())["of_a_newer_version"] == [1, 2]


def test_a_newer_versions_code_does_not_make_an_outcome_unreadable() -> None:
    known = value_json(Outcome(1, 7, "1.1.0", Said.FAILED))
    assert read_value(Outcome, {**known, "code": "OF_NEXT_YEAR"}).code is None


def test_a_damaged_file_is_an_empty_record_since_the_launchers_restores_what_counts(tmp_path: Path) -> None:
    (tmp_path / "products").mkdir()
    (tmp_path / "products" / "agent.json").write_bytes(b"{")
    assert ProductFile(tmp_path).read() == ProductRecord()


def test_an_absent_file_is_an_empty_record(tmp_path: Path) -> None:
    assert ProductFile(tmp_path).read() == ProductRecord()


def test_a_refusal_that_a_newer_version_knows_stays_a_refusal_and_an_older_record_has_none() -> None:
    known = value_json(Attempt(7, "1.1.0", refused=Code.PAUSED))
    assert read_value(Attempt, {**known, "refused": "OF_NEXT_YEAR"}).refused is Code.INTERNAL
    del known["refused"]
    assert read_value(Attempt, known).refused is None
