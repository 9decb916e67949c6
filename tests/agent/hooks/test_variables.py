"""The environment of commands: these names, these words, and a page that tells them."""

from __future__ import annotations

import sys
from pathlib import Path

from fleetroll_agent.hooks.orphans import MARK
from fleetroll_agent.hooks.variables import BACKUP_ID_FILE, FROM_AGENT, HookFacts, environment
from tests.faults.hooks import run

FACTS = HookFacts(
    product="shop",
    version="2.0.0",
    from_version="1.9.0",
    sha="a1b2c3d4",
    channel="stable",
    migrations_required=True,
    breaking_changes="two\nlines",
    attempt="agent-x/shop/7",
    slot="/srv/shop/slots/2.0.0",
    backup_id="b-17",
    step="migrate",
)
TOLD = {
    "FLEETROLL_PRODUCT": "shop",
    "FLEETROLL_VERSION": "2.0.0",
    "FLEETROLL_FROM_VERSION": "1.9.0",
    "FLEETROLL_SHA": "a1b2c3d4",
    "FLEETROLL_CHANNEL": "stable",
    "FLEETROLL_MIGRATIONS_REQUIRED": "true",
    "FLEETROLL_BREAKING_CHANGES": "two\nlines",
    "FLEETROLL_ATTEMPT": "agent-x/shop/7",
    "FLEETROLL_SLOT": "/srv/shop/slots/2.0.0",
    "FLEETROLL_BACKUP_ID": "b-17",
    "FLEETROLL_STEP": "migrate",
}
PAGE = Path(__file__).resolve().parents[3] / "docs" / "hooks.md"


def test_a_command_gets_these_variables_and_no_others() -> None:
    """Of the agent's own, only what programs, texts and times need."""
    agent = {
        "PATH": "/bin",
        "HOME": "/h",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SECRET": "x",
        "LD_PRELOAD": "x",
        "USER": "x",
    }
    want = {**TOLD, "PATH": "/bin", "HOME": "/h", "LANG": "C.UTF-8", "TZ": "UTC"}
    assert environment(FACTS, agent) == want


def test_what_the_agent_does_not_have_is_not_made_up() -> None:
    """A variable that is not set stays so."""
    assert environment(FACTS, {}) == TOLD


def test_a_release_without_breaking_changes_or_migrations_says_so() -> None:
    """An empty text and the word false, never a missing variable."""
    facts = HookFacts("shop", "2", "", "", "", False, None, "", "", "", "backup")
    env = environment(facts, {})
    assert (env["FLEETROLL_BREAKING_CHANGES"], env["FLEETROLL_MIGRATIONS_REQUIRED"]) == ("", "false")
    assert set(env) == set(TOLD)


def test_only_a_backup_gets_a_file_for_its_id() -> None:
    """Set when there is one."""
    assert environment(FACTS, {}, "/tmp/x/backup-id") == {**TOLD, BACKUP_ID_FILE: "/tmp/x/backup-id"}


async def test_text_that_no_variable_can_hold_is_made_to_fit() -> None:
    """A NUL or half a letter in a release's text fails no step."""
    facts = HookFacts("shop", "2", "", "", "", False, "a\0b\ud800c", "", "", "", "backup")
    code = "import os; print(ascii(os.environb[b'FLEETROLL_BREAKING_CHANGES'].decode()))"
    result = await run((sys.executable, "-I", "-c", code), environment(facts, {}))
    assert result.last_line == r"'a\ufffdb?c'"


def test_every_command_carries_the_mark_that_orphans_are_known_by() -> None:
    """Else what it left behind would not be found after a restart."""
    assert MARK in TOLD


def test_the_page_for_authors_of_commands_names_every_variable() -> None:
    """And the agent's own that are passed on."""
    text = PAGE.read_text("utf-8")
    assert [name for name in (*TOLD, BACKUP_ID_FILE, *FROM_AGENT) if f"`{name}`" not in text] == []
