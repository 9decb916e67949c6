"""The measure of the console still measures: both are alive, and take changes and keys."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("which", ["console", "datatable"])
def test_a_short_run_takes_changes_and_answers_keys(which: str) -> None:
    options = ("--only", which, "--hosts", "200", "--rate", "200", "--seconds", "2")
    done = subprocess.run(
        [sys.executable, "-m", "bench.console", *options], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["changes_per_second"] > 0
    assert found["keys"] > found["lost"] == 0
