"""What every test stands on: an environment that hides nothing, and the switch for the second tier of the proofs.

The variables are set at import, before any library reads them; children inherit them.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# Judges that lie in modules of their own say what they compared, too.
pytest.register_assert_rewrite("tests.crash.real.verdicts", "tests.crash.update.verdicts", "tests.crash.shop.verdicts")
# A missing CA option would go unnoticed where the shell names roots of its own.
os.environ.pop("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", None)
# Changes what terminals are shown.
os.environ.pop("NO_COLOR", None)
# What somebody has set for the command line must not decide what a test sees.
for _name in ("FLEETROLL_SERVER", "FLEETROLL_CA", "FLEETROLL_TOKEN_FILE", "FLEETROLL_CONTEXT"):
    os.environ.pop(_name, None)
# Connections that end are the subject of many tests: the transport need not announce each.
os.environ["GRPC_VERBOSITY"] = "ERROR"
# Who is started in the background of a script ignores interrupts, and would start programs that do.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 << 30
"""What a whole run of the tests may hold at a time, generously."""


def roomy_memory() -> Path | None:
    """Return the file system in memory where there is one that has room and lets programs be started."""
    try:
        facts = os.statvfs(MEMORY)
    except FileNotFoundError:
        return None
    usable = os.access(MEMORY, os.W_OK) and not facts.f_flag & os.ST_NOEXEC
    return MEMORY if usable and facts.f_bavail * facts.f_frsize >= ROOM_BYTES else None


# What tests write lies in memory where it can, for a slow disk would be most of the time. No test cuts the power, and
# what was written outlives SIGKILL without any sync; the syncs themselves are counted and left out by the proofs of
# power loss, on any file system. Whoever sets TMPDIR decides instead.
if "TMPDIR" not in os.environ and (found := roomy_memory()):
    os.environ["TMPDIR"] = tempfile.tempdir = str(found)
# The bundled PostgreSQL warns about a folder that others can enter; mkdtemp makes it 0700.
RUNTIME_DIR = tempfile.mkdtemp(prefix="fleetroll-run-")
os.environ["XDG_RUNTIME_DIR"] = RUNTIME_DIR
os.environ["FLEETROLL_CONFIG"] = f"{RUNTIME_DIR}/config.toml"
os.environ.setdefault("FLEETROLL_TESTS_KEPT", f"{RUNTIME_DIR}/kept")


class CurrentStderr(io.StringIO):
    """Whatever standard error is at the moment: pytest captures it anew for each test."""

    def write(self, text: str) -> int:
        """Pass the text on."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Pass the wish on."""
        sys.stderr.flush()


# Logs belong to a test's standard error: what a passed test prints is a count, and is shown.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(CurrentStderr()))

# The machine is shared: a slow example is no failure. Examples are the same in every run; --full draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("full", deadline=None, max_examples=1000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full: the second tier of the proofs, with every victim and fresh random examples."""
    parser.addoption("--full", action="store_true", help="run the second tier of the proofs as well")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the examples."""
    settings.load_profile("full" if config.getoption("--full") else "fixed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest begin first, and those of many tests before those of few.

    A file's tests stay in one process: a long one that begins last has the other processors wait for its end.
    """
    size = Counter(item.path for item in items)
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path not in long, -size[item.path]))


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(RUNTIME_DIR, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what passed tests printed: the counts of proofs, so that a shrunken one is seen."""
    reports = [report for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    lines = [line for report in reports for line in report.capstdout.splitlines() if line.strip()]
    if lines:
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Tell whether the second tier was asked for (`make crash-full`, a sample of it by `make crash`)."""
    return bool(request.config.getoption("--full"))
