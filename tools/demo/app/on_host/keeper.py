"""A supervisor for one program, as small as it can be: what a service manager with socket units does, on any machine.

Usage: keeper.py PORT PID_FILE COMMAND...

It listens on the port and hands that socket to the program, LISTEN_FD, so that nobody is turned away while there is no
program. SIGHUP asks the program to end what it does and starts it anew; SIGTERM ends both. It writes its own process id
into the file.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PAUSE_SECONDS = 0.2
"""Before a program that ended by itself is started again."""
BACKLOG = 1024


class Keeper:
    """Keeps one program."""

    def __init__(self, listener: socket.socket, command: list[str]) -> None:
        """Listen to signals; nothing runs yet."""
        self._listener = listener
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._again = self._over = False
        signal.signal(signal.SIGHUP, lambda *_: self._restart())
        signal.signal(signal.SIGTERM, lambda *_: self._end())

    def run(self) -> None:
        """Start the program, again and again, until SIGTERM."""
        descriptor = self._listener.fileno()
        environ = {**os.environ, "LISTEN_FD": str(descriptor)}
        while not self._over:
            self._again = False
            self._child = subprocess.Popen(self._command, pass_fds=(descriptor,), env=environ)
            if self._again or self._over:  # the signal came while it was being started
                self._child.terminate()
            self._child.wait()
            if not self._again and not self._over:
                time.sleep(PAUSE_SECONDS)

    def _restart(self) -> None:
        self._again = True
        if self._child is not None:
            self._child.terminate()

    def _end(self) -> None:
        self._over = True
        self._restart()


def main(port: str, pid_file: str, *command: str) -> None:
    """Keep the program."""
    with socket.create_server(("127.0.0.1", int(port)), backlog=BACKLOG) as listener:
        keeper = Keeper(listener, list(command))
        Path(pid_file).write_text(f"{os.getpid()}\n", encoding="ascii")
        keeper.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
