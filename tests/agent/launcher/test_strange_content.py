"""Valid JSON that nobody of this project wrote is damage, and damage of one file stops nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.launcher import files, pipe
from fleetroll_agent.launcher.errors import PipeError, RecordDamagedError
from fleetroll_agent.launcher.record import decode, encode
from fleetroll_agent.launcher.recovery import Source, from_bytes
from tests.faults.launcher_bench import first

if TYPE_CHECKING:
    from tests.faults.launcher_host import Host

DEEP = b"[" * 20_000 + b"]" * 20_000
STRANGE = [b'{"crc32":"0","record":{"a":NaN}}', b'{"crc32":"0","record":{"a":' + DEEP + b"}}", DEEP, b"9" * 5000]


@pytest.mark.parametrize("data", STRANGE)
def test_a_record_of_strange_content_is_damaged_and_its_replacement_is_believed(data: bytes) -> None:
    with pytest.raises(RecordDamagedError):
        decode(data)
    recovery = from_bytes(data, encode(first()))
    assert recovery is not None
    assert recovery.source is Source.REPLACEMENT


@pytest.mark.parametrize("entry", ["entry\0.py", "entry\ud800.py", ["entry.py"], None])
def test_a_slot_whose_entry_is_strange_does_not_hide_the_others(host: Host, entry: object) -> None:
    bad, good = host.slot("1.0.0"), host.slot("1.1.0")
    complete = host.state / "slots/agent" / bad["slot"] / "COMPLETE"
    complete.write_text(json.dumps({**json.loads(complete.read_text()), "entry": entry}))
    assert [slot.name for slot in files.read_slots(str(host.state))] == [good["slot"]]


def test_a_slot_of_endless_nesting_does_not_hide_the_others(host: Host) -> None:
    bad, good = host.slot("1.0.0"), host.slot("1.1.0")
    (host.state / "slots/agent" / bad["slot"] / "COMPLETE").write_bytes(DEEP)
    (host.state / "slots/agent" / good["slot"] / "GOOD").write_bytes(DEEP)
    assert [(slot.name, slot.good) for slot in files.read_slots(str(host.state))] == [(good["slot"], 0)]


def test_a_line_of_endless_nesting_is_no_message() -> None:
    with pytest.raises(PipeError):
        pipe.parse(DEEP)
