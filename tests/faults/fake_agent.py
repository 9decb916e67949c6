"""A stand-in for an agent: speaks the launcher's pipe by hand and behaves as ``behaviour.json`` beside it says.

Copied into slots as ``entry.py``. Standard library only, and little of it: it is started hundreds of times.
"""

# As little as possible is imported: no pathlib.
# ruff: noqa: PTH100, PTH118, PTH120, PTH123

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

SLOT = os.path.dirname(os.path.abspath(__file__))


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


class FakeAgent:
    def __init__(self) -> None:
        self.state = option("--state")
        self.read_fd, self.write_fd = (int(part) for part in option("--launcher-pipe").split(","))
        with open(os.path.join(SLOT, "behaviour.json")) as stream:
            self.behaviour = json.load(stream)
        with open(os.path.join(SLOT, "COMPLETE")) as stream:
            self.me = json.load(stream)
        self.kind = self.behaviour["kind"]
        self.record: dict[str, Any] | None = None
        self.beats = 0
        self.promoted = False
        self.asked = False

    def say(self, **message: Any) -> None:
        os.write(self.write_fd, (json.dumps(message) + "\n").encode())

    def journal(self, *words: object) -> None:
        handle = os.open(os.path.join(self.state, "journal.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, (" ".join(str(word) for word in words) + "\n").encode())
        os.close(handle)

    def run(self) -> NoReturn:
        self.journal("start", self.me["version"], os.getpid())
        print("this is", self.me["version"], flush=True)
        if self.kind == "exits":
            os._exit(self.behaviour.get("code", 1))
        if self.kind == "leaves_orphan":
            self.leave_orphan()
        if self.kind == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.signal(signal.SIGTERM, self.leave)
        if self.kind in ("hangs", "deaf"):
            while True:
                time.sleep(60)
        pending = b""
        while True:
            ready, _, _ = select.select([self.read_fd], [], [], self.behaviour.get("beat", 0.02))
            if not ready:
                self.tick()
                continue
            data = os.read(self.read_fd, 65536)
            if not data:
                os._exit(0)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self.hear(json.loads(line))

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "record":
            self.record = message["record"]
            if self.kind == "hears":
                self.journal("heard", self.record["current"]["version"])
        elif kind == "stop":
            self.leave()
        elif kind == "armed":
            self.journal("armed", self.me["version"])
            os._exit(75)
        elif kind == "dropped":
            self.journal("dropped", message["request"], message["reason"])
        elif kind == "committed":
            self.journal("committed", self.me["version"], message["digest"][:8])

    def leave_orphan(self) -> NoReturn:
        """End with a grandchild in a session of its own."""
        if os.fork() == 0:
            os.setsid()
            self.journal("orphan", os.getpid())
            time.sleep(60)
        time.sleep(0.2)
        os._exit(1)

    def leave(self, *_: object) -> NoReturn:
        self.say(type="goodbye")
        os._exit(0)

    def tick(self) -> None:
        self.beats += 1
        healthy = self.kind != "never_healthy" and not (self.kind == "unhealthy" and self.beats > 3)
        if self.kind == "silent" and self.beats > 3:
            return
        self.say(type="beat", healthy=healthy)
        if self.beats == 1 and self.kind != "no_contact":
            self.say(type="hello")
        if self.beats == 3 and self.kind == "dies":
            sys.stderr.write("the last words\n")
            os._exit(self.behaviour.get("code", 0))
        if self.record is not None and self.beats >= self.behaviour.get("act_at", 2):
            self.act(self.record)

    def act(self, record: dict[str, Any]) -> None:
        trial, digest = record["trial"], self.me["sha256"]
        arm = self.behaviour.get("arm")
        if trial and trial["slot"]["digest"] == digest and not self.promoted and self.kind == "good":
            self.promoted = True
            self.say(type="promote", attempt=trial["attempt"], digest=digest)
        last = record["last"]
        if arm and not trial and not self.asked and (last is None or last["attempt"] != arm["attempt"]):
            self.asked = True
            self.say(type="arm", **arm)


if __name__ == "__main__" and sys.argv[1] == "run":
    FakeAgent().run()
