"""The server's program with points at which it dies: ``mortal_server.py PLAN run --data … --listen …``.

Points are its streams' messages (as in the shim) and its commits, named by what the transaction wrote:
``commit:report``, ``commit:host granted``, ``commit:host promoted``, ``commit:identity`` …, taken from the statements
themselves. A transaction that wrote several of them is a point of each name.

Every acknowledgement is noted in ``acks.jsonl`` beside the plan before it leaves. The program loads everything, then
waits for its plan: a killed server's successor is at hand at once.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_WRITE = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)")
_STATES = ("offered", "downloading", "staged", "granted", "applying", "trial", "promoted", "succeeded")
_NAMED = {"report": "report", "assignment": "assignment"}


def main() -> int:
    """Put the points in place and become the server."""
    sys.path.insert(0, str(ROOT))
    plan = Path(sys.argv[1])
    from fleetroll_server import commands  # noqa: F401, PLC0415 (the path is known only now)
    from fleetroll_server.app import main as serve  # noqa: PLC0415
    from tests.faults.shim_points import Points  # noqa: PLC0415

    while not plan.exists():
        time.sleep(0.02)
    points = Points(json.loads(plan.read_text()), " ".join(sys.argv))
    patch_messages(points, plan.with_name("acks.jsonl"))
    patch_commits(points)
    return serve(sys.argv[2:])


def patch_messages(points: Any, acks: Path) -> None:
    """Make the messages of streams points, and note acknowledgements."""
    import grpc.aio  # noqa: PLC0415 (see main)
    from grpc.aio import _server  # noqa: PLC0415 (see main)

    from tests.faults import shim_grpc  # noqa: PLC0415

    plain_name = shim_grpc.name_of

    def name_of(message: Any) -> str:
        name = plain_name(message)
        if name in {"ConnectResponse.ack", "ConnectResponse.welcome"}:
            ack = message.ack if name.endswith("ack") else message.welcome.ack
            with acks.open("a") as file:
                file.write(json.dumps([ack.journal_id, int(ack.sequence)]) + "\n")
        return name

    shim_grpc.name_of = name_of
    shim_grpc.patch_streams(points)
    grpc.aio.server = _server.server


def patch_commits(points: Any) -> None:
    """Make every commit a point of each thing that its transaction wrote."""
    from sqlalchemy import event  # noqa: PLC0415 (see main)
    from sqlalchemy.engine import Engine  # noqa: PLC0415
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415

    written: set[str] = set()
    commit: Any = DefaultDialect.do_commit

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        written.update(names_of(statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)

    def do_commit(self: Any, connection: Any) -> None:
        names = sorted(written)
        written.clear()
        wanted = {points.reached(f"commit:{name}") for name in names}
        if "kill-before" in wanted:
            points.die()
        commit(self, connection)
        if "kill-after" in wanted:
            points.die()

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def names_of(statement: str, parameters: Any) -> set[str]:
    """Return the names of what a statement writes."""
    match = _WRITE.match(statement)
    if match is None:
        return set()
    table = match.group(2)
    rows = parameters if isinstance(parameters, list) else [parameters]
    values = [value for row in rows for value in (row.values() if isinstance(row, dict) else row)]
    if table == "rollout_host" and match.group(1) == "UPDATE":
        return {f"host {state}" for state in _STATES if state in [str(value).lower() for value in values]}
    if table == "agent" and "acked" in statement.split("WHERE", maxsplit=1)[0]:
        return {"identity"}
    return {_NAMED[table]} if table in _NAMED else set()


if __name__ == "__main__":
    sys.exit(main())
