"""An interrupt ends a command in time, also where it was raised in vain."""

from __future__ import annotations

import signal
import subprocess
import sys

from fleetroll_cli.interrupting import ENDING_SECONDS, INTERRUPTED

DEAF = """
import signal, sys, time
from fleetroll_cli.interrupting import end_when_interrupted
{before}
end_when_interrupted()
words = ["on"]
while True:
    try:
        while words:
            print(words.pop(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("in vain", flush=True)
"""


def deaf(before: str = "") -> subprocess.Popen[str]:
    """A program in which every interrupt is in vain, as in a destructor."""
    code = DEAF.format(before=before)
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "on\n"
    return program


def test_an_interrupt_that_was_swallowed_ends_the_program_all_the_same() -> None:
    with deaf() as program:
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=ENDING_SECONDS + 30)[0] == "in vain\n"
        assert program.returncode == INTERRUPTED


def test_who_ignores_interrupts_goes_on_ignoring_them() -> None:
    with deaf("signal.signal(signal.SIGINT, signal.SIG_IGN)") as program:
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGTERM)
        assert program.communicate(timeout=30)[0] == ""
        assert program.returncode == -signal.SIGTERM
