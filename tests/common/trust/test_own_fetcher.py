"""The metadata library comes without its own HTTP client, which stays importable for whoever asks for it."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from fleetroll_common.trust.own_fetcher import Urllib3Fetcher, without_own_fetcher

NAME = "tuf.ngclient.urllib3_fetcher"


def run(code: str) -> str:
    """Return what a fresh process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_client_comes_without_the_librarys_fetcher() -> None:
    """Nothing of the HTTP client is loaded, and no stand-in stays behind under the library's name."""
    code = f"import sys, fleetroll_common.trust; print([n for n in ('urllib3', {NAME!r}) if n in sys.modules])"
    assert run(code) == "[]"


def test_the_librarys_fetcher_can_still_be_imported() -> None:
    """Whoever imports it by its own name gets the real one."""
    code = f"import fleetroll_common.trust, {NAME} as real; print(real.Urllib3Fetcher.__module__)"
    assert run(code) == NAME


def test_a_fetcher_that_is_loaded_already_stays() -> None:
    """Another user of the library in the same process loses nothing."""
    code = f"import {NAME} as real, fleetroll_common.trust; from tuf.ngclient import Urllib3Fetcher as public"
    assert run(f"{code}; print(public is real.Urllib3Fetcher)") == "True"


def test_a_failed_import_leaves_no_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is free again, whatever happened in the block."""
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    with pytest.raises(ModuleNotFoundError), without_own_fetcher():
        importlib.import_module("no_such_module")
    assert NAME not in sys.modules


def test_the_stand_in_can_not_fetch() -> None:
    """A client that was given no fetcher fails at once, and goes nowhere."""
    with pytest.raises(NotImplementedError, match="give one"):
        Urllib3Fetcher(None, None, app_user_agent="x")
