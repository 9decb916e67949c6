"""Mirrors over HTTP and on disks: whatever they do, the bytes are right or the words are."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest

from fleetroll_agent.fetch import MirrorSource, SourceFailed, SourcesInTurn
from fleetroll_agent.fetch.values import Skipped
from fleetroll_agent.fetch.web import buffer_bytes
from fleetroll_common.values.errors import AgentError, TrustError
from tests.faults.sources import DATA, PATH, Source, fetch, interrupted
from tests.faults.web_mirror import WebMirror

if TYPE_CHECKING:
    from pathlib import Path

LARGE = os.urandom(1024) * 64 * 1024


async def read(mirror: MirrorSource, offset: int = 0, path: str = PATH) -> bytes:
    return b"".join([piece async for piece in mirror.open(path, offset)])


async def refused(mirror: WebMirror, offset: int = 0) -> str:
    """Return the words of a mirror that can't."""
    with mirror, pytest.raises(SourceFailed) as caught:
        await read(MirrorSource(mirror.pattern), offset)
    return str(caught.value)


def quiet() -> bool:
    """Tell whether no thread of a mirror is left."""
    return not [thread for thread in threading.enumerate() if thread.name == "fleetroll-mirror"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_mirror_gives_the_bytes(dest: Path, chunked: bool) -> None:
    """With or without a length that is known beforehand."""
    with WebMirror(chunked=chunked) as web:
        await fetch(MirrorSource(web.pattern), dest)
    assert dest.read_bytes() == DATA
    assert web.asked == [(f"/m/{PATH}", "")]


@pytest.mark.parametrize("cut", [0, 1, 4999, 5000, len(DATA) - 1])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_mirror_that_breaks_at_any_byte_is_asked_for_the_rest(dest: Path, cut: int, chunked: bool) -> None:
    """Every byte that came before the cut is kept, and only the others are asked for."""
    with WebMirror(cut_at=cut or None, status=None if cut else 503, chunked=chunked) as web:
        with pytest.raises(AgentError) as caught:
            await fetch(MirrorSource(web.pattern), dest)
        assert caught.value.details["received_bytes"] == str(cut)
        web.cut_at = web.status = None
        await fetch(MirrorSource(web.pattern), dest)
    assert web.asked[1:] == [(f"/m/{PATH}", f"bytes={cut}-" if cut else "")]
    assert web.sent == len(DATA)
    assert dest.read_bytes() == DATA


async def test_a_mirror_that_ignores_ranges_is_read_from_the_start_and_skipped(dest: Path) -> None:
    """Bytes that are there already are not written again."""
    await interrupted(dest, 5000)
    with WebMirror(ranges=False) as web:
        pieces = [piece async for piece in MirrorSource(web.pattern).open(PATH, 5000)]
        await fetch(MirrorSource(web.pattern), dest)
    assert sum(len(piece) for piece in pieces if isinstance(piece, Skipped)) == 5000
    assert b"".join(piece for piece in pieces if not isinstance(piece, Skipped)) == DATA[5000:]
    assert dest.read_bytes() == DATA


@pytest.mark.parametrize("shift", [-1, 1, 1000])
async def test_a_mirror_that_answers_with_another_range_is_refused(shift: int) -> None:
    """Bytes at the wrong place would spoil those that are right."""
    assert f"'bytes {5000 + shift}-" in await refused(WebMirror(shift=shift), 5000)


async def test_a_partial_answer_without_a_range_is_refused() -> None:
    """Nobody knows where such bytes belong."""
    assert "answers with the range ''" in await refused(WebMirror(status=206), 5000)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "404 (Not Found)"), (403, "403 (Forbidden)"), (503, "503 (Service Unavailable)"), (599, "599")],
)
async def test_a_mirror_that_has_not_got_it_says_so(status: int, words: str) -> None:
    """The status stands in the message, in words."""
    assert words in await refused(WebMirror(status=status))


async def test_a_mirror_with_a_shorter_file_has_no_such_byte() -> None:
    """The range begins behind its end."""
    assert "has no byte 5000" in await refused(WebMirror(data=DATA[:5000]), 5000)


async def test_garbage_of_a_mirror_is_a_lie(dest: Path) -> None:
    """TLS or not: the hash decides."""
    with WebMirror(data=bytes(len(DATA))) as web, pytest.raises(TrustError) as caught:
        await fetch(MirrorSource(web.pattern), dest)
    assert caught.value.code == "WRONG_HASH"


async def test_a_page_instead_of_the_file_costs_no_more_than_that_mirror(dest: Path) -> None:
    """A gateway that answers everything with a page of its own does not stop an update."""
    own = Source()
    with WebMirror(data=b"<html>please log in</html>") as web:
        await fetch(SourcesInTurn([MirrorSource(web.pattern)], own), dest)
    assert own.offsets == [26, 0]
    assert dest.read_bytes() == DATA


@pytest.mark.parametrize("number", [1, 3])
async def test_up_to_three_redirects_are_followed(dest: Path, number: int) -> None:
    """The mirror may lead to another place, with the same question."""
    await interrupted(dest, 5000)
    with WebMirror() as web:
        steps = [f"/m/{PATH}", *(f"/{step}" for step in range(1, number))]
        source = MirrorSource(f"{web.root}/begin/{{path}}")
        web.redirects = dict(zip([f"/begin/{PATH}", *steps[1:]], [*steps[1:], steps[0]], strict=True))
        await fetch(source, dest)
    assert len(web.asked) == number + 1
    assert {wanted for _, wanted in web.asked} == {"bytes=5000-"}


async def test_a_fourth_redirect_is_not_followed() -> None:
    """A mirror that leads in circles ends."""
    web = WebMirror(redirects={f"/m/{PATH}": f"/m/{PATH}"})
    assert await refused(web) == "redirects more than 3 times"
    assert len(web.asked) == 4


async def test_a_redirect_to_another_host_in_the_clear_is_refused() -> None:
    """Only this host itself may be asked over http."""
    assert "is http to another host" in await refused(WebMirror(redirects={f"/m/{PATH}": "http://192.0.2.1/x"}))


async def test_a_mirror_that_is_not_there_is_named_in_words() -> None:
    """No name of a class, no address of an object."""
    with WebMirror() as web:
        pattern = web.pattern
    with pytest.raises(SourceFailed, match=r"^no connection: .*Connection refused$"):
        await read(MirrorSource(pattern))


async def test_a_mirror_whose_answer_is_no_http_is_named_in_words() -> None:
    """Anything may listen on a port."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceFailed, match=r"^the connection broke: "):
            await read(MirrorSource(f"http://127.0.0.1:{port}/{{path}}"))


async def test_a_mirror_that_says_nothing_more_is_left_at_once_and_its_thread_ends(dest: Path) -> None:
    """A read that is under way ends with the download, not with its own time limit."""
    with WebMirror(hang_at=3000) as web:
        with pytest.raises(AgentError):
            await fetch(MirrorSource(web.pattern), dest, stall_seconds=0.5)
        while not quiet():
            await asyncio.sleep(0)


async def test_a_cancelled_download_leaves_no_thread_behind(dest: Path) -> None:
    """A process that ends soon after must not wait for a mirror."""
    part = dest.with_name(f"{dest.name}.part")
    with WebMirror(hang_at=3000) as web:
        task = asyncio.ensure_future(fetch(MirrorSource(web.pattern), dest))
        while not part.exists() or part.stat().st_size < 3000:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not quiet():
            await asyncio.sleep(0)


async def test_whoever_reads_slowly_slows_the_mirror_down() -> None:
    """What was sent and not read stands in the system's sockets, and those are bounded."""
    with WebMirror(data=LARGE) as web:
        stream = MirrorSource(web.pattern).open(PATH, 0)
        read_bytes = len(await anext(stream))
        await asyncio.sleep(0.5)
        assert web.sent - read_bytes < len(LARGE) / 4
        await stream.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cap", "size"), [(None, None), (1, 16384), (200_000, 50_000), (8_000_000, 2_000_000), (1_000_000_000, None)]
)
def test_a_socket_under_a_cap_holds_a_quarter_of_a_second(cap: int | None, size: int | None) -> None:
    """What the system reads ahead is on the line too; without a cap it may read as it likes."""
    assert buffer_bytes(cap) == size


async def test_a_mirror_under_a_small_cap_is_hardly_ahead_of_it() -> None:
    """The sender's own socket aside, no more is on its way than the cap allows in a moment."""
    with WebMirror(data=LARGE, send_buffer_bytes=16 * 1024) as web:
        stream = MirrorSource(web.pattern, cap=100_000).open(PATH, 0)
        read_bytes = len(await anext(stream))
        await asyncio.sleep(0.5)
        assert web.sent - read_bytes < 256 * 1024
        await stream.aclose()  # type: ignore[attr-defined]


async def test_a_file_gives_its_bytes_from_any_byte_on(dest: Path, tmp_path: Path) -> None:
    """A mounted share is a mirror like any other."""
    file = tmp_path / "my mirror" / PATH
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    mirror = MirrorSource(f"{(tmp_path / 'my mirror').as_uri()}/{{path}}")
    await interrupted(dest, 5000)
    assert await read(mirror, 5000) == DATA[5000:]
    assert await read(mirror, len(DATA)) == b""
    await fetch(mirror, dest)
    assert dest.read_bytes() == DATA


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("absent", "No such file"),
        ("folder", "is no file"),
        ("pipe", "is no file"),
        ("short", "has no byte 5000"),
    ],
)
async def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, kind: str, words: str) -> None:
    """A folder, a pipe, a file that is cut: none of them stops the host."""
    path = tmp_path / "target"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "short":
        path.write_bytes(DATA[:4999])
    with pytest.raises(SourceFailed, match=words):
        await read(MirrorSource(f"{tmp_path.as_uri()}/{{path}}"), 5000, "target")
