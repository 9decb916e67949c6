"""Several threads ask one client at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from fleetroll_common.trust import client as client_module
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError
from tests.faults.repositories import Host, Repository

if TYPE_CHECKING:
    from pathlib import Path


def test_refreshes_and_questions_of_many_threads_do_not_corrupt(tmp_path: Path) -> None:
    """Each answer is that of one published state, never older than one that the same thread has had."""
    repository = Repository()
    host = Host(tmp_path, repository)
    start = threading.Barrier(5)

    def ask() -> None:
        start.wait(timeout=10)
        seen = 0
        for _ in range(25):
            host.client.refresh()
            versions = host.versions()
            assert versions == tuple(f"1.{minor}.0" for minor in reversed(range(len(versions))))
            assert len(versions) >= seen
            seen = len(versions)

    with ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask) for _ in range(4)]
        start.wait(timeout=10)
        for minor in range(1, 10):
            repository.publish(f"1.{minor}.0")
        for asker in askers:
            asker.result(timeout=50)
    host.restart()
    assert len(host.update()) == 10
    assert not [name for name in host.state() if name.startswith(".")]


def test_a_refresh_that_hangs_does_not_hang_the_others_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every wait has a deadline: the one who waits is told what holds the folder."""
    monkeypatch.setattr(client_module, "LOCK_WAIT_SECONDS", 0.05)
    asked, answer = threading.Event(), threading.Event()

    class Hanging(Repository):
        def fetch(self, name: str, max_bytes: int) -> bytes:
            asked.set()
            assert answer.wait(10)
            return super().fetch(name, max_bytes)

    host = Host(tmp_path, Hanging())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(host.client.refresh)
        assert asked.wait(10)
        with pytest.raises(AgentError) as caught:
            host.client.refresh()
        answer.set()
        first.result(timeout=10)
    assert caught.value.code is Code.LOCKED
    assert host.versions() == ("1.0.0",)
