"""What runs beside the requests: the lease is kept, failures are said and tried again, root keys in reach are named."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import StoreError
from fleetroll_server.anchoring import watch as anchors_watch
from fleetroll_server.anchoring.watch import CertificateWatch
from fleetroll_server.catalogue import catalogue as catalogue_module
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.observe import keywatch, rootkeys
from fleetroll_server.observe.keywatch import KeyWatch
from fleetroll_server.observe.lease import ServerLease
from fleetroll_server.observe.logs import configure_logs
from fleetroll_server.observe.rootkeys import RootKeyWatch
from fleetroll_server.parts import assemble
from fleetroll_server.upkeep.retention import Retention


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


class FailingWriter:
    """A writer that refuses while told to, and counts what it did."""

    def __init__(self, writer: Any) -> None:
        self.writer, self.failing, self.done = writer, False, 0

    async def command(self, job: Any) -> Any:
        if self.failing:
            raise StoreError("full", code=Code.STORE_FAILED)
        result = await self.writer.command(job)
        self.done += 1
        return result


@pytest.fixture
def fragile(server: Any) -> Any:
    """Services whose store can be told to fail, with a lease that is renewed all the time."""
    writer = FailingWriter(server.services.store.writer)

    class FragileStore:
        read = staticmethod(server.services.store.read)

    store: Any = FragileStore()
    store.writer = writer
    settings = server.services.settings.model_copy(update={"lease_seconds": 0.03})
    return dataclasses.replace(server.services, store=store, settings=settings, server_id="server-test")


async def test_a_lease_is_renewed_and_a_renewal_that_fails_is_tried_again(fragile: Any) -> None:
    lease = ServerLease(fragile)
    await lease.stop()
    with capture_logs() as logs:
        await lease.start()
        await until(lambda: fragile.store.writer.done > 2)
        fragile.store.writer.failing = True
        await until(lambda: any(line["event"] == "lease.not_renewed" for line in logs))
        fragile.store.writer.failing = False
        done = fragile.store.writer.done
        await until(lambda: fragile.store.writer.done > done)
        await lease.drain()
        fragile.store.writer.failing = True
        await lease.stop()
    assert logs[-1]["event"] == "lease.not_ended"


async def test_a_signature_that_fails_is_said_and_tried_again(
    fragile: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "RETRY_SECONDS", 0.01)
    server.clock.advance(3601)
    fragile.store.writer.failing = True
    freshness = Freshness(fragile)
    before = server.services.catalogue.timestamp_version
    with capture_logs() as logs:
        await freshness.start()
        await until(lambda: sum(line["event"] == "metadata.not_signed" for line in logs) > 1)
        fragile.store.writer.failing = False
        await until(lambda: server.services.catalogue.timestamp_version == before + 1)
        await freshness.drain()
        await freshness.stop()


@pytest.mark.parametrize(
    ("watch", "act", "module", "pause"),
    [
        (Freshness, "sign_if_due", catalogue_module, "RETRY_SECONDS"),
        (KeyWatch, "look", keywatch, "LOOK_SECONDS"),
        (CertificateWatch, "look", anchors_watch, "LOOK_SECONDS"),
    ],
)
async def test_a_turn_that_meets_anything_at_all_is_not_the_last(
    server: Any, monkeypatch: pytest.MonkeyPatch, watch: Any, act: str, module: Any, pause: str
) -> None:
    turns: list[int] = []

    async def broken(_self: object) -> float:
        turns.append(1)
        raise KeyError(len(turns))

    monkeypatch.setattr(module, pause, 0.01)
    monkeypatch.setattr(watch, act, broken)
    with capture_logs() as logs:
        running = watch(server.services)
        await running.start()
        await until(lambda: len(turns) > 2)
        await running.stop()
    assert [line["log_level"] for line in logs][:2] == ["error"] * 2


async def test_root_keys_in_reach_are_named_daily_until_they_are_gone(
    installed: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rootkeys, "DAY_SECONDS", 0.01)
    folder = tmp_path / "keys"
    folder.mkdir()
    key = folder / "root-1.key"
    key.write_text("key")
    watch = RootKeyWatch(folder)
    with capture_logs() as logs:
        await watch.start()
        await until(lambda: len(logs) > 1)
        key.unlink()
        await asyncio.sleep(0.05)
        said = len(logs)
        await asyncio.sleep(0.05)
        await watch.drain()
        await watch.stop()
    assert len(logs) == said
    assert logs[0]["files"] == [str(key)]


def test_logs_are_one_json_object_per_line_from_the_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        configure_logs("warning")
        log = structlog.get_logger("test")
        log.info("quiet")
        log.warning("loud", field=1)
        try:
            int("inside")
        except ValueError:
            log.exception("failed")
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("loud", "warning"), ("failed", "error")]
    assert "inside" in lines[1]["exception"]


async def test_a_server_keeps_reports_for_as_long_as_its_setting_says(server: Any) -> None:
    settings = server.services.settings.model_copy(update={"report_days": 7.0})
    parts = assemble(dataclasses.replace(server.services, settings=settings), server.running.registry)
    assert [part._age for part in parts.background if isinstance(part, Retention)] == [timedelta(days=7)]
