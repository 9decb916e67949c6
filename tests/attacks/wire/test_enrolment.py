"""Enrolment on a bad line and with bad strings: one use is spent at most, nothing is left on either side, no slot."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from fleetroll.v1 import agents_pb2, enrolment_pb2, tokens_pb2
from fleetroll_common.wire.joinstring import JoinString
from fleetroll_server.certificates import make_ca
from tests.attacks.wire import thief
from tests.attacks.wire.meddler import ENROLL, Cut, Meddler
from tests.attacks.wire.rules import FLIPS, SIGNATURE, flip_metadata
from tests.e2e.fleet.fleet import CALL_SECONDS
from tests.e2e.fleet.processes import AGENT, Done, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.attacks.wire.meddler import Down
    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED, UNREACHABLE = 21, 20
STORED = ("agent", "enrolment", "host_product", "retired_key")


@pytest.fixture(scope="module")
def fleet(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run a server without hosts of its own."""
    fleet = template.copy(tmp_path_factory.mktemp("enrolment"))
    try:
        fleet.start_server()
        yield fleet
    finally:
        fleet.end()


def ask(state: Path, join: str) -> Done:
    """Run ``fleetroll-agent enroll``."""
    return run(*AGENT, "enroll", join, "--state", str(state), "--name", state.name)


def uses(fleet: Fleet, join: str) -> tuple[int, int]:
    """Return how many uses of the newest token are spent, and of how many."""
    answer = fleet.client.tokens.ListJoinTokens(tokens_pb2.ListJoinTokensRequest(), timeout=CALL_SECONDS)
    return answer.tokens[0].uses, answer.tokens[0].max_uses


def stored(fleet: Fleet) -> dict[str, int]:
    """Return how many rows the server has about hosts, and how many uses were spent in all."""
    ((spent,),) = fleet.records.rows("SELECT coalesce(sum(uses), 0) FROM join_token")
    return {table: fleet.records.count(table) for table in STORED} | {"uses": int(spent)}


def is_clear(done: Done, exit_code: int, code: str) -> None:
    """See that the command said in one line, with its code, what is wrong."""
    assert done.code == exit_code, done.said
    lines = [line for line in done.err.splitlines() if line.startswith("fleetroll-agent: ")]
    assert len(lines) == 1, done.err
    assert f"({code})" in lines[0], done.err
    assert "Traceback" not in done.said


def has_nothing(state: Path) -> None:
    """See that the host is no agent: no identity, no slot, no boot record."""
    assert not (state / "identity" / "agent.json").exists()
    assert not (state / "slots").exists()
    assert not (state / "boot.json").exists()


def let_expire(fleet: Fleet, token_id: str) -> None:
    """Date a token back, in the database: the shortest life of one is a minute."""
    past = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S.%f")
    with contextlib.closing(sqlite3.connect(fleet.data.database, timeout=10)) as connection, connection:
        connection.execute("UPDATE join_token SET expires_at = ? WHERE id = ?", (past, token_id))


def through(meddler: Meddler, join: str) -> str:
    """Return the join string with the meddler's address."""
    return replace(JoinString.decode(join), addresses=(meddler.address,)).encode()


def test_an_answer_that_is_lost_is_asked_for_again_and_spends_one_use(fleet: Fleet, tmp_path: Path) -> None:
    join, state = fleet.join_string(uses=2), tmp_path / "lost"
    before = stored(fleet)

    def lose(method: str, _request: bytes, message: bytes) -> bytes:
        if method == ENROLL:
            raise Cut
        return message

    with Meddler(fleet) as meddler:
        for _ in range(2):
            with meddler.rule(lose):
                is_clear(ask(state, through(meddler, join)), UNREACHABLE, "UNAVAILABLE")
            has_nothing(state)
            assert uses(fleet, join) == (1, 2)
        assert ask(state, through(meddler, join)).code == 0
    after = stored(fleet)
    assert (after["agent"], after["enrolment"], after["uses"]) == (
        before["agent"] + 1,
        before["enrolment"] + 1,
        before["uses"] + 1,
    )
    assert len(list((state / "slots" / "agent").iterdir())) == 1
    print("enrolment: an answer lost twice and asked for again spends one use")


def test_bad_tokens_and_bad_strings_leave_nothing_behind(fleet: Fleet, tmp_path: Path) -> None:
    cases = _bad_strings(fleet, tmp_path)
    before = stored(fleet)
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(cases, pool.map(lambda name: ask(tmp_path / name, cases[name][0]), cases), strict=True))
    for name, (_, exit_code, code) in cases.items():
        is_clear(answers[name], exit_code, code)
        has_nothing(tmp_path / name)
    assert stored(fleet) == before
    print(f"enrolment: {len(cases)} bad tokens and strings refused, nothing stored")


def _bad_strings(fleet: Fleet, tmp_path: Path) -> dict[str, tuple[str, int, str]]:
    """Return join strings that must not work, with exit code and code."""
    good = fleet.join_string()
    parts = JoinString.decode(good)
    used, expired, revoked = fleet.join_string(), fleet.join_string(), fleet.join_string()
    assert ask(tmp_path / "user", used).code == 0
    tokens = fleet.client.tokens.ListJoinTokens(tokens_pb2.ListJoinTokensRequest(), timeout=CALL_SECONDS).tokens
    revoking = tokens_pb2.RevokeJoinTokenRequest(token_id=tokens[0].id, reason="lost")
    fleet.client.tokens.RevokeJoinToken(revoking, timeout=CALL_SECONDS)
    let_expire(fleet, tokens[1].id)
    readmit = agents_pb2.ReadmitAgentRequest(agent_id=fleet.agents()["user"].id, reason="a copy was seen")
    foreign = str(fleet.client.agents.ReadmitAgent(readmit, timeout=CALL_SECONDS).join_string)
    other_ca = make_ca("another", datetime.now(UTC)).certificate
    middle = len(good) // 2
    return {
        "wrong": (replace(parts, token="A" * len(parts.token)).encode(), REFUSED, "TOKEN_UNKNOWN"),
        "expired": (expired, REFUSED, "TOKEN_EXPIRED"),
        "used-up": (used, REFUSED, "TOKEN_USED_UP"),
        "revoked": (revoked, REFUSED, "TOKEN_REVOKED"),
        "another-agents": (foreign, REFUSED, "INVALID_ARGUMENT"),
        "changed": (
            good[:middle] + ("B" if good[middle] == "A" else "A") + good[middle + 1 :],
            REFUSED,
            "INVALID_ARGUMENT",
        ),
        "cut": (good[:-10], REFUSED, "INVALID_ARGUMENT"),
        "nonsense": ("nonsense", REFUSED, "INVALID_ARGUMENT"),
        "foreign-ca": (replace(parts, ca_pem=other_ca).encode(), UNREACHABLE, "UNAVAILABLE"),
        "nobody": (replace(parts, addresses=("127.0.0.1:9",)).encode(), UNREACHABLE, "UNAVAILABLE"),
    }


def foreign_root(method: str, _request: bytes, message: bytes) -> bytes:
    """Answer an enrolment with the root of another repository."""
    if method != ENROLL:
        return message
    answer = enrolment_pb2.EnrollResponse.FromString(message)
    answer.root = thief.foreign_root()
    return answer.SerializeToString()


FIRST_INSTALL: dict[str, tuple[Down, str, str]] = {
    "foreign root": (foreign_root, "WRONG_HASH", "root"),
    "list of products": (flip_metadata("targets", SIGNATURE), "UNSIGNED", "targets"),
    **{name: FLIPS[name] for name in ("timestamp's signature", "snapshot's form", "product's description")},
    "artefact": FLIPS["artefact's middle"],
}


def test_changed_bytes_are_refused_at_the_first_install(fleet: Fleet, tmp_path: Path) -> None:
    join = fleet.join_string(uses=len(FIRST_INSTALL))

    def one(name: str) -> Done:
        with contextlib.ExitStack() as stack:
            meddler = stack.enter_context(Meddler(fleet))
            stack.enter_context(meddler.rule(FIRST_INSTALL[name][0]))
            return ask(tmp_path / name, through(meddler, join))

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(FIRST_INSTALL, pool.map(one, FIRST_INSTALL), strict=True))
    for name, (_, code, says) in FIRST_INSTALL.items():
        is_clear(answers[name], REFUSED, code)
        assert says in answers[name].err
        state = tmp_path / name
        assert not (state / "boot.json").exists()
        assert not list((state / "slots").glob("agent/*"))
    print(f"enrolment: {len(FIRST_INSTALL)} changed files refused at the first install")
