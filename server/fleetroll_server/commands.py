"""What the command line's commands do."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import structlog

from fleetroll_common.buildinfo import build_info
from fleetroll_common.streams import let_go
from fleetroll_common.values.clock import SystemClock
from fleetroll_common.values.codes import Code
from fleetroll_common.values.errors import RequestError
from fleetroll_common.values.ids import SystemIds
from fleetroll_publishing.keys import Passphrase
from fleetroll_server.datafolder import DataFolder
from fleetroll_server.init import InitRequest, initialise
from fleetroll_server.lifecycle import running, wait_for
from fleetroll_server.observe.logs import configure_logs
from fleetroll_server.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

_log = structlog.get_logger(__name__)
PRIVATE = 0o077
"""What this program writes is for nobody else, where it does not say otherwise."""
GC_THRESHOLDS = (50_000, 50, 50)
"""The collector's default costs a third of the throughput at 10,000 streams; what lives at start is frozen besides."""
UNPROTECTED = (
    "WARNING: the root keys are not protected by a passphrase. Whoever gets the folder can name new keys for the whole "
    "fleet."
)


def init(options: argparse.Namespace) -> int:
    """Make the data folder; print where everything is, and the first token, once."""
    os.umask(PRIVATE)
    configure_logs("warning")
    passphrase = passphrase_of(options.passphrase_file)
    request = InitRequest(options.data, options.root_keys, tuple(options.address), passphrase, options.demo)
    made = initialise(request, SystemClock(), SystemIds())
    say(f"The data folder is {made.folder.path}.")
    say(f"The root keys are in {made.root_key_files[0].parent}: take them away from this machine.")
    if passphrase is None:
        say(UNPROTECTED)
    say(f"The CA certificate for clients is {made.folder.tls / 'ca.pem'}.")
    say(f"The first admin token, also in {made.folder.admin_token}:")
    say(made.admin_token)
    return 0


def run(options: argparse.Namespace) -> int:
    """Run the server until SIGTERM or SIGINT."""
    os.umask(PRIVATE)
    folder = DataFolder(options.data.resolve())
    given = {"listen": options.listen} if options.listen else {}
    settings = load_settings(folder.settings, **given)
    configure_logs(settings.log_level)

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(folder, settings, SystemClock(), SystemIds()) as server:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            say(f"fleetroll-server {build_info().shown} is ready on {server.address}")
            _log.info("server.ready", address=server.address, server_id=server.services.server_id)
            await wait_for(stop, server)
        _log.info("server.stopped")

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve())
    finally:
        let_go(sys.stderr)
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed: 10 to 20 % faster."""
    try:
        uvloop: Any = import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def passphrase_of(path: Path | None) -> Passphrase | None:
    """Read the passphrase's file; None without one."""
    if path is None:
        return None
    try:
        first = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise _badpassphrase_of(
            f"{path} can't be read: {error.strerror}", "name a file that this user can read"
        ) from error
    except UnicodeDecodeError as error:
        raise _badpassphrase_of(f"{path} is not UTF-8", "write the passphrase there as UTF-8") from error
    if not first:
        raise _badpassphrase_of(f"the first line of {path} is empty", "write the passphrase there")
    return Passphrase(first)


def _badpassphrase_of(what: str, remedy: str) -> RequestError:
    """Return the operator's error."""
    message = f"passphrase-file: {what}"
    return RequestError(message, code=Code.INVALID_ARGUMENT, remedy=remedy, field="passphrase-file")


def say(line: str) -> None:
    """Print for people, at once: whoever started us may wait for it."""
    print(line, file=sys.stdout, flush=True)  # noqa: T201 (the command line prints)
