"""One reading of one check: a request, a query, or a command of this server. It always ends in time with an answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import operator
import os
import signal
from typing import TYPE_CHECKING, Any, assert_never

import httpx

from fleetroll_server.domain.checks import Kind
from fleetroll_server.domain.checkspec import CommandCheck, HttpCheck, PrometheusCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fleetroll_server.domain.checkspec import CheckSpec

MAX_BODY_BYTES = 64 * 1024
"""Of an answer; an endless one ends there."""
MAX_DETAIL_CHARS = 500
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_GOOD_STATUS = range(200, 300)
_KILL_SECONDS = 2.0

Said = tuple[Kind, str]


async def ask(spec: CheckSpec, commands: Mapping[str, Sequence[str]], about: Mapping[str, str]) -> Said:
    """Ask once; return what it says, in words of at most :data:`MAX_DETAIL_CHARS` characters.

    Args:
        spec: the check.
        commands: words of each command by its name.
        about: what a command is told, by the names of its variables.
    """
    try:
        async with asyncio.timeout(spec.timeout_seconds):
            kind, detail = await _ask(spec, commands, about)
    except TimeoutError:
        kind, detail = Kind.MISSING, f"no answer within {spec.timeout_seconds:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        kind, detail = Kind.MISSING, f"{type(error).__name__}: {error}"
    return kind, _plain(detail)


async def _ask(spec: CheckSpec, commands: Mapping[str, Sequence[str]], about: Mapping[str, str]) -> Said:
    match spec.question:
        case HttpCheck() as asked:
            return await _http(asked, spec.timeout_seconds)
        case PrometheusCheck() as asked:
            return await _prometheus(asked, spec.timeout_seconds)
        case CommandCheck(command=name):
            if name not in commands:
                return Kind.MISSING, f"the server's settings have no command {name!r} any more (gate_commands)"
            return await _command(commands[name], about)
        case other:
            assert_never(other)


async def _http(asked: HttpCheck, timeout_seconds: float) -> Said:
    """Judge status and body. Redirects are not followed: what was asked for is what answers."""
    status, body, _whole = await _get(asked.url, {}, timeout_seconds)
    wanted = asked.statuses or _GOOD_STATUS
    if status not in wanted:
        named = ", ".join(map(str, asked.statuses)) if asked.statuses else "200 to 299"
        return Kind.BAD, f"status {status}, wanted {named}"
    if asked.contains and asked.contains.encode() not in body:
        return Kind.BAD, f"status {status}, and the body does not hold {asked.contains!r}"
    return Kind.GOOD, f"status {status}"


async def _prometheus(asked: PrometheusCheck, timeout_seconds: float) -> Said:
    """Compare every sample of an instant query; the worst one is told."""
    url = f"{asked.url.rstrip('/')}/api/v1/query"
    status, body, whole = await _get(url, {"query": asked.query}, timeout_seconds)
    if status not in _GOOD_STATUS:
        return Kind.MISSING, f"status {status}: {body[:200].decode('utf-8', 'replace')}"
    if not whole:
        return Kind.MISSING, f"the answer is larger than {MAX_BODY_BYTES} bytes: ask for fewer series"
    samples = _samples(httpx.Response(status, content=body).json())
    if not samples:
        return Kind.MISSING, "the query has no sample"
    if any(math.isnan(sample) for sample in samples):
        return Kind.MISSING, "a sample is no number (NaN)"
    against = f"wanted {asked.operator} {asked.threshold:g}"
    worst = next((one for one in samples if not _COMPARE[asked.operator](one, asked.threshold)), None)
    if worst is None:
        return Kind.GOOD, f"{samples[0]:g}, {against}" + (f" ({len(samples)} samples)" if len(samples) > 1 else "")
    return Kind.BAD, f"{worst:g}, {against}"


def _samples(answer: Any) -> list[float]:  # noqa: ANN401 (what a server sent)
    """Return the numbers of an answer.

    Raises:
        ValueError: it is no answer of an instant query.
    """
    try:
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [float(data["result"][1])]
        if data["resultType"] == "vector":
            return [float(one["value"][1]) for one in data["result"]]
        found = data["resultType"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("it is no answer of a Prometheus server") from error
    raise ValueError(f"the answer is a {found}, wanted a scalar or a vector")


async def _get(url: str, params: Mapping[str, str], timeout_seconds: float) -> tuple[int, bytes, bool]:
    """Return status, the first bytes of the body, and whether that was all of it."""
    body = bytearray()
    async with (
        httpx.AsyncClient(follow_redirects=False, timeout=timeout_seconds) as client,
        client.stream("GET", url, params=params or None) as answer,
    ):
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return answer.status_code, bytes(body[:MAX_BODY_BYTES]), False
    return answer.status_code, bytes(body), True


async def _command(words: Sequence[str], about: Mapping[str, str]) -> Said:
    """Run a command in a group of its own, which ends with it or with its time."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**keep, **about},
        start_new_session=True,
    )
    try:
        said = await _head(process)
        status = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind too; by its own group alone
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), _KILL_SECONDS)
    text = said.decode("utf-8", "replace").strip()[-MAX_DETAIL_CHARS:]
    if status == 0:
        return Kind.GOOD, text or "status 0"
    if status == 1:
        return Kind.BAD, text or "status 1"
    return Kind.MISSING, f"status {status}, wanted 0 or 1: {text}"


async def _head(process: asyncio.subprocess.Process) -> bytes:
    """Read all that it says, and keep the first part."""
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    kept = bytearray()
    while part := await process.stdout.read(8192):
        kept += part[: MAX_BODY_BYTES - len(kept)]
    return bytes(kept)


def _plain(text: str) -> str:
    """Return one line that any terminal may show."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:MAX_DETAIL_CHARS]
