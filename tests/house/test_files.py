"""Files: their size, and what must not stand in them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
# Made by tools, or counted otherwise: the contract has one file per service and a comment on every field.
NOT_COUNTED = ("generated/", "requirements/", "protos/", "docs/reference/", "CHANGELOG.md")
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".proto", ".sh", ".json", ".ini", ""}
# Split, so that this file does not name what it forbids.
HOSTS = re.compile(
    "|".join(("py" + "pi.org", "python" + "hosted", "https?://[^ ]*/" + "simple", "file" + "://", "/opt/" + "wheels"))
)
HOMES = re.compile("(?<![a-z.])/(root|home/[a-z]+|Users)/")
UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|XX" + r"X)\b")
LEFT_OUT = re.compile(r"pytest\.(mark\.)?(sk" + r"ip|xf" + r"ail|importor" + r"sk" + "ip)")


def tracked() -> list[Path]:
    """Files that are in the repository, or would be added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / line for line in sorted(set(out.splitlines())) if (ROOT / line).is_file()]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def texts() -> list[Path]:
    found = [path for path in tracked() if path.suffix in TEXT and "/.venv" not in str(path)]
    assert len(found) > 50
    return found


def test_no_file_is_longer_than_400_lines(texts: list[Path]) -> None:
    counted = [path for path in texts if not name(path).startswith(NOT_COUNTED)]
    assert [(name(path), n) for path in counted if (n := len(read(path).splitlines())) > MAX_LINES] == []


def test_no_file_names_a_package_index(texts: list[Path]) -> None:
    assert [(name(path), found[0]) for path in texts if (found := HOSTS.search(read(path)))] == []


def test_no_file_names_this_checkout(texts: list[Path]) -> None:
    assert [name(path) for path in texts if f"{ROOT}/" in read(path)] == []


def test_locks_docs_and_settings_name_no_home_folder(texts: list[Path]) -> None:
    settings = [path for path in texts if path.suffix in {".md", ".txt", ".toml", ".yaml", ".ini", ""}]
    assert [(name(path), found[0]) for path in settings if (found := HOMES.search(read(path)))] == []


def test_nothing_is_left_for_later(texts: list[Path]) -> None:
    assert [(name(path), found[0]) for path in texts if (found := UNFINISHED.search(read(path)))] == []


def test_no_test_is_left_out(texts: list[Path]) -> None:
    tests = [path for path in texts if name(path).startswith("tests/")]
    assert [(name(path), found[0]) for path in tests if (found := LEFT_OUT.search(read(path)))] == []


def test_other_lock_formats_are_ignored() -> None:
    """They hold the addresses of package indexes."""
    command = ["git", "check-ignore", "uv.lock", "pylock.toml", ".venv", ".venv-gen", "dist/a", "snapshot_report.html"]
    assert len(subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout.splitlines()) == 6


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HOSTS, "--index https://example.org/" + "simple"),
        (HOSTS, "file" + ":///tmp/x"),
        (HOMES, "cd /" + "home/ann/fleetroll"),
        (LEFT_OUT, "@pytest.mark.sk" + "ipif(True)"),
        (UNFINISHED, "# TO" + "DO: later"),
    ],
)
def test_what_is_forbidden_is_noticed(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)
