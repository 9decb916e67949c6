"""What the command line's commands do."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from getpass import getpass
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
from fleetroll_server.trustfolder import Trust

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
    if (options.root_keys is None) == (options.trust is None):
        raise _bad_option("root-keys", "either --root-keys or --trust is needed", "name where the root keys go")
    passphrase = _passphrase(options.passphrase_file)
    request = InitRequest(
        data=options.data,
        root_keys=options.root_keys,
        addresses=tuple(options.address),
        passphrase=passphrase,
        demo=options.demo,
        trust=_trust(options),
    )
    made = initialise(request, SystemClock(), SystemIds())
    _say(f"The data folder is {made.folder.path}.")
    if options.trust is not None:
        _say("The root keys, and those of targets and products, stay where they were made.")
    else:
        _say(f"The root keys are in {made.root_key_files[0].parent}: take them away from this machine.")
        if passphrase is None:
            _say(UNPROTECTED)
    _say(f"The SHA-256 of the root that hosts pin: {made.root_sha256}")
    _say(f"The CA certificate for clients is {made.folder.tls / 'ca.pem'}.")
    _say(f"The first admin token, also in {made.folder.admin_token}:")
    _say(made.admin_token)
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
            _say(f"fleetroll-server {build_info().shown} is ready on {server.address}")
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


def _passphrase(path: Path | None) -> Passphrase | None:
    """Read the passphrase's file; None without one."""
    if path is None:
        return None
    return Passphrase(_first_line("passphrase-file", path))


def _trust(options: argparse.Namespace) -> Trust | None:
    """Return the ceremony's folder with its secret; None without one."""
    if options.trust is None:
        return None
    if options.trust_secret_file is not None:
        return Trust(options.trust, _first_line("trust-secret-file", options.trust_secret_file))
    if not sys.stdin.isatty():
        remedy = "name the file that holds it, or run this at a terminal"
        raise _bad_option("trust-secret-file", "nobody can be asked for the secret here", remedy)
    return Trust(options.trust, getpass("The secret that the ceremony showed: "))


def _first_line(option: str, path: Path) -> str:
    """Return the first line of a file, never empty."""
    try:
        first = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise _bad_option(
            option, f"{path} can't be read: {error.strerror}", "name a file that this user can read"
        ) from error
    except UnicodeDecodeError as error:
        raise _bad_option(option, f"{path} is not UTF-8", "write it there as UTF-8") from error
    if not first:
        raise _bad_option(option, f"the first line of {path} is empty", "write it there")
    return first


def _bad_option(option: str, what: str, remedy: str) -> RequestError:
    """Return the operator's error."""
    return RequestError(f"{option}: {what}", code=Code.INVALID_ARGUMENT, remedy=remedy, field=option)


def _say(line: str) -> None:
    """Print for people, at once: whoever started us may wait for it."""
    print(line, file=sys.stdout, flush=True)  # noqa: T201 (the command line prints)
