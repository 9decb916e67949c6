"""Backup ids: exactly what the command said, or a failed step."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.hooks.backup_id import backup_id_file, read_backup_id
from fleetroll_agent.hooks.gate import spawn
from fleetroll_agent.hooks.run import run_hook
from fleetroll_agent.hooks.variables import BACKUP_ID_FILE
from fleetroll_common.values.errors import AgentError
from tests.faults.hooks import ENV, ROOT, quiet, run_script

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("echo start; echo b-17", "b-17"),
        ("echo '  b-17  '; echo; echo '  '", "b-17"),
        ("printf 'a name with spaces, é'", "a name with spaces, é"),
        ("printf '%0200d' 1", f"{1:0200}"),
    ],
)
async def test_the_last_line_that_is_not_blank_is_the_id(script: str, want: str) -> None:
    """Without the spaces around it."""
    assert read_backup_id(await run_script(script)) == want


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("true", "its output is empty"),
        ("echo; echo '  '", "its output is empty"),
        ("printf '%0201d' 1", "more than 200 characters"),
        ("printf '%0201d' 1; printf 'x%.0s' $(seq 3000)", "redacted, cut or not plain"),
        ("printf 'a\\tb'", "redacted, cut or not plain"),
        ("printf 'a\\033[mb'", "redacted, cut or not plain"),
        ("printf '\\377'", "redacted, cut or not plain"),
        ("echo s3://user:hunter2@store/b-17", "redacted, cut or not plain"),
    ],
)
async def test_a_doubtful_id_fails_the_step_instead_of_the_restore(script: str, why: str) -> None:
    """Nothing has been changed yet; later it would be too late."""
    result = await run_script(script, redact=[re.compile("hunter2")])
    with pytest.raises(AgentError, match=why) as caught:
        read_backup_id(result)
    assert (caught.value.code, "FLEETROLL_BACKUP_ID_FILE" in caught.value.remedy) == ("STEP_FAILED", True)


async def test_the_file_counts_before_the_output(tmp_path: Path) -> None:
    """A command that writes it may print what it likes."""
    path = tmp_path / "id"
    result = await run_script('echo from-file > "$1"; echo done', str(path))
    assert read_backup_id(result, path) == "from-file"


@pytest.mark.parametrize("content", [None, "", "\n \n"])
async def test_a_file_that_was_not_written_leaves_the_output(tmp_path: Path, content: str | None) -> None:
    """Absent or blank means that the command did not use it."""
    path = tmp_path / "id"
    if content is not None:
        path.write_text(content)
    assert read_backup_id(await run_script("echo b-17"), path) == "b-17"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a\nb\n", "more than one line"),
        (b"a\x07b", "printable"),
        (b"x" * 201, "more than 200"),
        (b"x" * 10_000_000, "more than 200"),
        ("é".encode() * 10_000, "more than 200"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
async def test_a_doubtful_file_fails_the_step(tmp_path: Path, content: bytes, why: str) -> None:
    """The output is not taken in its place: the command meant the file."""
    path = tmp_path / "id"
    path.write_bytes(content)
    result = await run_script("echo b-17")
    with pytest.raises(AgentError, match=why):
        read_backup_id(result, path)


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder"])
async def test_a_file_that_was_exchanged_is_not_read(tmp_path: Path, kind: str) -> None:
    """The command may run as somebody who must not make the agent read a secret of root's."""
    path, secret = tmp_path / "id", tmp_path / "secret"
    secret.write_text("root's")
    match kind:
        case "link":
            path.symlink_to(secret)
        case "hard link":
            path.hardlink_to(secret)
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    result = await run_script("echo b-17")
    with pytest.raises(AgentError, match="backup id: the file"):
        read_backup_id(result, path)


async def test_the_command_can_write_its_file_as_its_user_and_nothing_is_left() -> None:
    """Also replace it, as careful programs do."""
    user = "nobody" if os.geteuid() == 0 else ""
    with backup_id_file(user) as path:
        script = f'echo b-17 > "${BACKUP_ID_FILE}.new" && mv "${BACKUP_ID_FILE}.new" "${BACKUP_ID_FILE}"'
        gated = await spawn(("/bin/sh", "-c", script), {**ENV, BACKUP_ID_FILE: str(path)}, ROOT, user)
        result = await run_hook(gated, 10, quiet)
        assert (result.tail, read_backup_id(result, path)) == ("", "b-17")
    assert not path.parent.exists()
