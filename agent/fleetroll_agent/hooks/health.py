"""Whether a product is healthy. Whatever goes wrong in asking is an answer: not healthy, and why."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any

from fleetroll_agent.hooks.lines import LINE_BYTES, clean, on_one_line
from fleetroll_agent.hooks.page import MAX_BODY_BYTES, Page, PageError, get_page
from fleetroll_agent.hooks.run import run_small
from fleetroll_agent.hooks.specs import ROOT, CommandHealth, Health, HttpHealth, Spec, TcpHealth, UnitHealth
from fleetroll_agent.waiting import within
from fleetroll_common.values.errors import AgentError
from fleetroll_common.values.plain import plain

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from fleetroll_agent.jobs.work import Child

TAIL_LINES = 40
PAGE_LINES, PAGE_CHARS = 20, 200
"""Of a page that is not as wanted, in the message: an error page says first what is wrong."""
_TAIL_SECONDS = 10.0


async def probe(
    spec: Spec,
    env: Mapping[str, str],
    redact: Sequence[re.Pattern[str]] = (),
    started: Callable[[Child], Awaitable[None]] | None = None,
) -> Health:
    """Ask once, and return the answer within the limit of ``spec`` (a deaf command is killed a second later).

    Args:
        spec: what to ask.
        env: the whole environment of a command that is run for it.
        redact: for the words of commands and pages.
        started: told who a command is before it runs.
    """
    try:
        if isinstance(spec, CommandHealth):
            return await _ask_command(spec, env, redact, started)
        if isinstance(spec, UnitHealth):
            return await _ask_unit(spec, env, started)
        asked = _ask_http(spec, redact) if isinstance(spec, HttpHealth) else _ask_tcp(spec)
        return await within(spec.limit_seconds, asked)
    except asyncio.TimeoutError:
        return Health(healthy=False, message=f"no answer within {spec.limit_seconds:g} s")
    except ssl.SSLCertVerificationError as error:
        return Health(healthy=False, message=f"the certificate is not trusted: {error.verify_message}")
    except (AgentError, PageError) as error:
        return Health(healthy=False, message=str(error))
    except Exception as error:  # noqa: BLE001 (a probe that errors counts as not healthy, whatever the error)
        return Health(healthy=False, message=f"it could not be asked: {plain(str(error) or type(error).__name__)}")


async def unit_tail(unit: str, env: Mapping[str, str], redact: Sequence[re.Pattern[str]] = ()) -> str:
    """Return the last 40 lines that ``unit`` logged, at most 4000 characters; empty when the host can't tell."""
    argv = ("journalctl", "-u", unit, "-n", str(TAIL_LINES), "--no-pager")
    try:
        result = await run_small(argv, env, ROOT, "", _TAIL_SECONDS, redact)
    except (AgentError, OSError):
        return ""
    return result.tail if result.ok else ""


def judge(spec: HttpHealth, page: Page, redact: Sequence[re.Pattern[str]] = ()) -> Health:
    """Return what a page says about the product's health; one that is not as wanted with its beginning, redacted."""
    said = beginning(page, redact)
    says = f"; it says: {said}" if said else ""
    if page.status != spec.status:
        return Health(healthy=False, message=f"the page has status {page.status}, not {spec.status}{says}")
    if spec.contains and spec.contains.encode() not in page.body:
        return Health(healthy=False, message=f"the page does not say {plain(spec.contains)!r}{says}")
    if not spec.version_field:
        return Health(healthy=True, message=f"status {page.status}")
    if page.cut:
        return Health(healthy=False, message=f"the page has more than {MAX_BODY_BYTES} bytes, its version is not read")
    try:
        version = field_of(json.loads(page.body), spec.version_field)
    except (ValueError, RecursionError):
        return Health(healthy=False, message="the page is no JSON, its version can't be read")
    except LookupError:
        return Health(healthy=False, message=f"the page has no version at {spec.version_field!r:.200}")
    return Health(healthy=True, message=f"status {page.status}", version=plain(version))


def beginning(page: Page, redact: Sequence[re.Pattern[str]] = ()) -> str:
    """Return the beginning of a page on one line, at most 200 characters, without what ``redact`` hides.

    A line of more than 8 KiB is not shown where there are patterns: they could not see all of it.
    """
    lines = page.body.splitlines()[:PAGE_LINES]
    return on_one_line((clean(line[: LINE_BYTES + 1], redact).text for line in lines), PAGE_CHARS)


def field_of(document: Any, path: str) -> str:  # noqa: ANN401 (JSON of somebody else)
    """Return the text or number at ``path`` in a JSON document.

    Raises:
        LookupError: there is nothing there, or something else.
    """
    for name in path.split("."):
        if isinstance(document, dict):
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            raise LookupError(name)
    if isinstance(document, bool) or not isinstance(document, str | int | float) or document == "":
        raise LookupError(path)
    return str(document)


async def _ask_http(spec: HttpHealth, redact: Sequence[re.Pattern[str]]) -> Health:
    return judge(spec, await get_page(spec.url), redact)


async def _ask_tcp(spec: TcpHealth) -> Health:
    _, writer = await asyncio.open_connection(spec.host, spec.port)
    writer.transport.abort()
    return Health(healthy=True, message=f"port {spec.port} takes connections")


async def _ask_command(
    spec: CommandHealth,
    env: Mapping[str, str],
    redact: Sequence[re.Pattern[str]],
    started: Callable[[Child], Awaitable[None]] | None,
) -> Health:
    result = await run_small(spec.argv, env, spec.cwd, spec.user, spec.limit_seconds, redact, started)
    if result.ok:
        return Health(healthy=True, message=result.last_line or "it ended with exit code 0")
    said = f": {result.last_words}" if result.last_words else ""
    return Health(healthy=False, message=f"{result.words}{said}")


async def _ask_unit(
    spec: UnitHealth, env: Mapping[str, str], started: Callable[[Child], Awaitable[None]] | None
) -> Health:
    argv = ("systemctl", "is-active", "--", spec.unit)
    result = await run_small(argv, env, ROOT, "", spec.limit_seconds, started=started)
    said = result.last_line if result.exit_code is not None and not result.timed_out else result.words
    return Health(healthy=result.ok, message=f"unit {plain(spec.unit)}: {said or 'no answer'}")
