"""What a host shows to a restored server fits into a message, whatever it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import agent_stream_pb2 as stream_pb2
from fleetroll_agent.convert import MAX_EVIDENCE_BYTES, hello_payload
from fleetroll_agent.jobs.summary import AttemptFact
from fleetroll_agent.jobs.values import Said
from fleetroll_agent.session.facts import Evidence, HostFacts, KeptOutcome
from fleetroll_common.values.platform import Platform
from fleetroll_server.gateway.convert_evidence import read_evidence
from tests.faults.identity_disk import enrolled

if TYPE_CHECKING:
    from pathlib import Path


def payload(tmp_path: Path, evidence: Evidence | None) -> stream_pb2.HelloPayload:
    facts = HostFacts(
        host_name="h1",
        platform=Platform("linux", "x86_64", "cp311"),
        labels={},
        time_zone="UTC",
        disk_free_bytes=1,
        boot_id="boot",
        agent_version="1.0.0",
        products=(),
        journal_id="journal-1",
        receipt=None,
        timestamp_version=0,
        evidence=evidence,
    )
    return stream_pb2.HelloPayload.FromString(hello_payload(facts, enrolled(tmp_path).load()))


def test_nothing_is_shown_to_a_server_that_is_known(tmp_path: Path) -> None:
    assert not payload(tmp_path, None).HasField("evidence")


def test_the_largest_files_are_left_out_where_all_are_too_much(tmp_path: Path) -> None:
    files = {"timestamp.json": b"t" * 500, "products%2Fa.json": b"a" * 2_000_000, "products%2Fb.json": b"b" * 1_900_000}
    said = payload(tmp_path, Evidence(files=files)).evidence
    assert {file.name for file in said.files} == {"timestamp.json", "products%2Fb.json"}
    assert said.ByteSize() <= MAX_EVIDENCE_BYTES


def test_the_longest_outcomes_are_read_by_the_server(tmp_path: Path) -> None:
    fact = AttemptFact(7, Said.ROLLED_BACK, "1.0.0", "ab" * 32, None, "\U0001f600" * 2000, unproven=True)
    kept = tuple(KeptOutcome("agent", fact, 1_800_000_000.0) for _ in range(200))
    said = payload(tmp_path, Evidence(outcomes=kept, outcomes_left_out=3, journal_first=9))
    read = read_evidence(said, (bytes(32),))
    assert read is not None
    assert len(read.outcomes) == 200
    assert read.outcomes[0].said.unproven
    assert read.journal_first == 9
    assert read.enrolled is None, "no key of this server made the receipt"
