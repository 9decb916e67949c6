"""The word to the service manager: datagrams to the socket that it names in the environment. Standard library alone."""

import os
import socket
from typing import Dict, MutableMapping, Optional

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_LONGEST_SECONDS = 10.0
"""Between two feeds of the watchdog: often enough for a limit of minutes, rare enough to cost nothing."""


class Notifier:
    """Tells the service manager what it waits for. Never raises, never blocks: no word is worth an agent.

    Attributes:
        interval: seconds between two feeds of the watchdog; 0 = nobody waits for them.
        listening: there is a manager that takes words.
    """

    def __init__(self, environment: Optional[MutableMapping[str, str]] = None) -> None:
        """Take the variables out of ``environment`` (the process's): the agent MUST NOT speak for the launcher."""
        source = os.environ if environment is None else environment
        told = {name: source.pop(name, "") for name in _VARIABLES}
        self._address = _address(told["NOTIFY_SOCKET"])
        self.listening = self._address != ""
        self.interval = _interval(told) if self.listening else 0.0

    def send(self, **words: str) -> bool:
        """Send ``NAME=value`` lines in one datagram; return whether it was taken."""
        if not self.listening:
            return False
        text = "".join("{}={}\n".format(name, " ".join(value.split())) for name, value in words.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return False
        return True


def _address(text: str) -> str:
    """Return the address that ``text`` names; empty for none, or for one of a kind that is not known."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _interval(told: Dict[str, str]) -> float:
    """Return a quarter of the manager's limit, at most ``_LONGEST_SECONDS``; 0 when it watches another process."""
    if told["WATCHDOG_PID"] not in ("", str(os.getpid())):
        return 0.0
    limit = told["WATCHDOG_USEC"]
    return min(int(limit) / 4e6, _LONGEST_SECONDS) if limit.isdigit() else 0.0
