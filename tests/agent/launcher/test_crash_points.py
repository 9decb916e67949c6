"""SIGKILL of the launcher at every call that writes, syncs, renames, starts or tells, taken from an undisturbed run."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from conftest import Host

    Arming = Callable[..., dict[str, Any]]
    MakeHost = Callable[[], Host]

TRIES = 2


def update(host: Host, arming: Arming, *extra: str) -> subprocess.Popen[bytes]:
    """Start a host at 1.0.0 whose agent asks for a trial of 1.1.0, which is good."""
    host.enrol(host.slot("1.0.0", arm=arming(host.slot("1.1.0"), soak_seconds=0.04)))
    return host.launch(*extra)


def is_committed(host: Host) -> bool:
    return any(line.startswith("committed 1.1.0") for line in host.journal())


def traced_points(host: Host, arming: Arming, trace: Path) -> list[str]:
    launcher = update(host, arming, str(trace))
    host.until(lambda: is_committed(host))
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(10) == 0
    return trace.read_text().splitlines()


@pytest.mark.crash
@pytest.mark.timeout(600)
def test_a_launcher_killed_at_any_point_of_an_update_leaves_a_host_that_ends_on_the_new_version(
    make_host: MakeHost, arming: Arming, tmp_path: Path, full: bool
) -> None:
    points = traced_points(make_host(), arming, tmp_path / "trace")
    for name in ("create", "write", "fsync_file", "rename", "fsync_dir", "spawn", "message"):
        assert f"before {name}" in points
    chosen = [number for number, name in enumerate(points, 1) if full or name.startswith("before")]
    died = 0
    for number in chosen:
        host = make_host()
        launcher = update(host, arming, str(tmp_path / "other"), str(number))
        host.until(lambda launcher=launcher, host=host: launcher.poll() is not None or is_committed(host))
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGKILL)
        died += launcher.wait() == -signal.SIGKILL
        host.until(lambda host=host: not host.living())
        host.launch()
        host.until(lambda host=host: host.living() and host.record().current.version == "1.1.0")
        record = host.record()
        assert record.trial is None, (number, points[number - 1])
        assert record.last is not None
        assert record.last.ended == "committed"
        assert host.starts("1.1.0") <= TRIES + 1
        assert len(host.living()) == 1
        host.close()
    print(f"\nlauncher: killed at {died} of {len(points)} traced points; each time 1.1.0 was kept in the end")
    assert died == len(chosen)
