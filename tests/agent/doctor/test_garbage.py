"""Whatever stands in a host's files: the commands that look end with a sentence, and the doctor with its findings."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetroll_agent.app import main
from fleetroll_agent.doctor.registry import CHECKS
from fleetroll_common.durable import dump_record
from tests.faults.whole_host import WholeHost, whole_host

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = (
    "agent.toml",
    "agent.log",
    "boot.json",
    "launcher.status",
    "products/agent.json",
    "products/shop.json",
    "products/tool.json",
    "journal/head.json",
    "journal/000000000001.log",
    "identity/agent.json",
    "identity/key",
    "identity/ca.pem",
    "identity/ratchet.json",
    "identity/receipt",
    "identity/candidate.json",
    "trust/floor.json",
    "launcher/service.json",
    "launcher/current",
    "log/shop/2.log",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeHost]:
    """Give one host for all examples: each puts back what it broke."""
    with whole_host(tmp_path_factory.mktemp("garbage") / "root") as whole:
        yield whole


def _records(host: WholeHost, name: str) -> dict[str, object]:
    """Return the fields of a record, which an example changes one by one."""
    try:
        record = json.loads((host.state / name).read_bytes())["record"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(record)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), data=st.data())
def test_no_file_ends_the_doctor_or_the_commands_that_look(shared: WholeHost, name: str, data: st.DataObject) -> None:
    """Bytes of any kind, and records with a good checksum whose fields are of any kind."""
    path = shared.state / name
    before = path.read_bytes() if path.exists() else None
    fields = _records(shared, name)
    content: bytes = data.draw(st.binary(max_size=200))
    as_record: bool = data.draw(st.booleans())
    if fields and as_record:
        field: str = data.draw(st.sampled_from(sorted(fields)))
        value: object = data.draw(VALUES.filter(_fits))
        content = dump_record({**fields, field: value})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        found = shared.look()
        assert found.checks == len(CHECKS)
        assert all(finding.message and finding.remedy for finding in found.findings)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            for words in (["status"], ["policy"], ["history"], ["log"], ["log", "shop"]):
                assert main([*words, "--state", str(shared.state)]) in {0, 1, 21}
        assert "Traceback" not in said.getvalue()
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def _fits(value: object) -> bool:
    try:
        dump_record({"value": value})
    except (TypeError, ValueError):
        return False
    return True
