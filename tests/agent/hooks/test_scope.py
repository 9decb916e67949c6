"""Scopes: where there are any, how they are asked for, and what they are called."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from fleetroll_agent.hooks.scope import MAX_NAME_CHARS, ScopeFacts, read_facts, scope_name, wrapped
from tests.faults.hooks import program

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_without_systemd_a_command_line_stays_as_it_is() -> None:
    """A process group of its own must do."""
    assert wrapped(("a", "b"), "name", ScopeFacts()) == ("a", "b")


def test_with_systemd_the_command_line_is_wrapped() -> None:
    """Options end before the command, which may look like some."""
    got = wrapped(("--x", "b"), "name", ScopeFacts("/usr/bin/systemd-run"))
    assert got == ("/usr/bin/systemd-run", "--scope", "--quiet", "--collect", "--unit=name", "--", "--x", "b")


def test_scopes_are_asked_for_only_by_root_where_systemd_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program alone says nothing: it is installed in containers too."""
    found = program(tmp_path / "systemd-run", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read_facts(tmp_path) == ScopeFacts(found)
    assert read_facts(tmp_path / "absent") == ScopeFacts()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert read_facts(tmp_path) == ScopeFacts()


def test_systemd_without_its_program_gives_no_scopes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be asked for is not asked for."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert read_facts(tmp_path) == ScopeFacts()


def test_a_name_says_whose_scope_it_is() -> None:
    """Whoever lists the host's units can tell."""
    assert scope_name("shop", "agent-x/shop/7", "backup", "a1") == "fleetroll-shop-agent-x_shop_7-backup-a1"


@given(st.text(), st.text(), st.text(), st.text(max_size=8))
def test_a_name_is_always_fit_for_systemd(product: str, attempt: str, step: str, unique: str) -> None:
    """Whatever products are called."""
    assert re.fullmatch(
        rf"fleetroll[A-Za-z0-9_.-]{{0,{MAX_NAME_CHARS - 9}}}", scope_name(product, attempt, step, unique)
    )
