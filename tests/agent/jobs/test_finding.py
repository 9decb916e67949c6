"""Where an attempt takes from beside the server, and what it means when that is not there."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from fleetroll_agent.fetch.values import SourceFailed, is_transient
from fleetroll_agent.jobs import finding
from fleetroll_agent.jobs.artefacts import staging_failed
from fleetroll_agent.jobs.effects import FillSlot, FindTarget
from fleetroll_agent.jobs.finding import opened
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import AgentError, RequestError

if TYPE_CHECKING:
    from fleetroll_agent.fetch import TargetSource
    from fleetroll_common.trust import TrustClient


def find(place: object, *, by_host: bool) -> FindTarget:
    return FindTarget(1, 0, 0, "1.1.0", str(place), by_host=by_host)


def test_the_hosts_own_attempt_takes_a_mirror_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"whatever it holds")
    assert not opened(find(tmp_path, by_host=True)).is_bundle
    for effect in (find(tmp_path / "bundle", by_host=True), FillSlot(1, 0, 0, "1", "", f"{tmp_path}/bundle", True)):
        with pytest.raises(AgentError, match="is a file: a bundle is carried, and started by a person"):
            opened(effect)


@pytest.mark.parametrize("name", ["away", "bundle", "away/further"])
def test_a_mirror_that_is_not_there_now_is_no_word_about_the_release(tmp_path: Path, name: str) -> None:
    (tmp_path / "bundle").touch()
    with pytest.raises(AgentError) as caught:
        opened(find(tmp_path / name, by_host=True))
    assert caught.value.code is Code.UNAVAILABLE
    assert is_transient(caught.value)


def test_a_person_is_told_that_it_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        opened(find(tmp_path / "away", by_host=False))
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("fault", [errno.ENAMETOOLONG, errno.ESTALE, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("by_host", [True, False])
def test_a_share_that_does_not_answer_is_away_and_that_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int, by_host: bool
) -> None:
    stat = Path.stat

    def failing(path: Path, **named: bool) -> os.stat_result:
        if str(path) == f"{tmp_path}/share":
            raise OSError(fault, os.strerror(fault))
        return stat(path, **named)

    monkeypatch.setattr(Path, "stat", failing)
    with pytest.raises(AgentError, match=os.strerror(fault)) as caught:
        opened(find(tmp_path / "share", by_host=by_host))
    assert caught.value.code is Code.UNAVAILABLE


@dataclass
class OpenLine:
    """A session that does not end; how often somebody waited for its end."""

    asked: int = 0

    def repository(self, _session: int) -> TargetSource:
        raise SourceFailed("nothing is fetched here")

    async def over(self, _session: int, _seconds: float) -> None:
        self.asked += 1


AWAY = AgentError("nobody answers", code=Code.UNAVAILABLE, remedy="see to it")
BROKEN = AgentError("it broke off", code=Code.DOWNLOAD_FAILED, remedy="it goes on where it stopped")


@pytest.mark.parametrize(
    ("effect", "error", "transient"),
    [
        (find("https://away/", by_host=False), AWAY, False),
        (FillSlot(1, 0, 0, "1", "", "https://away/"), AWAY, False),
        (FillSlot(1, 0, 0, "1", "", "https://away/"), BROKEN, True),
        (find("https://away/", by_host=True), AWAY, True),
        (find("", by_host=False), AWAY, True),
    ],
    ids=["a person's", "a person's, later", "a download that can go on", "the host's own", "the server's"],
)
async def test_only_a_place_that_a_person_named_gets_no_other_try_when_it_is_away(
    effect: FindTarget | FillSlot, error: AgentError, transient: bool
) -> None:
    line = OpenLine()
    failed = await staging_failed(effect, line, error)
    assert (failed.code, failed.message, failed.transient) == (error.code, str(error), transient)
    assert line.asked == transient, "an answer that is final waits for nobody"


@pytest.mark.parametrize("code", [Code.DISK_FULL, Code.LOCKED])
async def test_what_this_host_lacks_is_not_said_of_the_place(monkeypatch: pytest.MonkeyPatch, code: Code) -> None:
    class Lacking:
        async def find(self, *_asked: object) -> object:
            raise AgentError("no room, or another process is at it", code=code, remedy="wait")

    monkeypatch.setattr(finding, "opened", lambda _effect: Lacking())
    with pytest.raises(AgentError) as caught:
        await finding.find_release(cast("TrustClient", None), find("https://there/", by_host=False), "shop")
    assert caught.value.code is code


def test_a_name_that_no_file_system_takes_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="too long"):
        opened(find(tmp_path / ("x" * 300), by_host=True))
