"""The command line against a real server: bad inputs are one line with a code and store nothing; exit codes; JSON."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.fleet.fleet import free_port
from tests.e2e.fleet.host import wait
from tests.e2e.fleet.releases import FAILS_SELF_TEST, GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.fleet.fleet import Fleet
    from tests.e2e.fleet.processes import Done
    from tests.e2e.fleet.template import Template

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OK, ERROR, USAGE, HALTED, CANCELLED = 0, 1, 2, 30, 31
STORED = ("rollout", "rollout_host", "wave", "budget", "release", "artifact", "join_token", "api_token", "assignment")
READABLE = ("agents list", "agents show h1", "release list", "rollout list", "tokens join list", "tokens api list")
QUICK = ("--soak", "1s", "--lease", "60s")


@dataclass(frozen=True)
class Bad:
    """A bad input.

    Attributes:
        words: of the command.
        code: in the answer; empty where the command line itself is wrong.
        names: stands in the answer: what is at fault.
        environment: of the command.
    """

    words: tuple[str, ...]
    code: str
    names: str = ""
    environment: tuple[tuple[str, str], ...] = ()


def _start(*words: str) -> tuple[str, ...]:
    return ("rollout", "start", "--version", GOOD, *words)


BAD = {
    "unknown product": Bad(("rollout", "start", "--product", "nothing"), "NOT_FOUND", "nothing"),
    "no product's name": Bad(("rollout", "start", "--product", "../agent"), "NOT_FOUND", "product"),
    "unknown version": Bad(("rollout", "start", "--version", "9.9.9"), "NOT_FOUND", "9.9.9"),
    "bad semver": Bad(("rollout", "start", "--version", "one"), "INVALID_ARGUMENT", "version"),
    "bad semver of a build": Bad(
        ("release", "build", "--version", "1.x", "--out", "OUT"), "INVALID_ARGUMENT", "version"
    ),
    "0-byte artefact": Bad(("release", "publish", "EMPTY"), "INVALID_ARGUMENT", ""),
    "absent artefact": Bad(("release", "publish", "ABSENT"), "INVALID_ARGUMENT", "artefact"),
    "rollout to nobody": Bad(_start("--label", "site=nowhere"), "NO_HOSTS", ""),
    "unknown host": Bad(_start("--host", "nobody"), "HOST_NOT_FOUND", "nobody"),
    "zero threshold": Bad(_start("--max-failed", "0"), "THRESHOLD_MISSING", "max_failed"),
    "zero concurrency": Bad(_start("--max-concurrent", "0"), "THRESHOLD_MISSING", "max_concurrent"),
    "negative threshold": Bad(_start("--failure-limit", "-0.1"), "THRESHOLD_MISSING", "failure_limit"),
    "threshold that is none": Bad(_start("--failure-limit", "nan"), "THRESHOLD_MISSING", "failure_limit"),
    "missing threshold": Bad(_start("--max-failed", ""), "", "max-failed"),
    "lease below soak": Bad(_start("--soak", "60s", "--lease", "5s"), "INVALID_ARGUMENT", "lease"),
    "no duration": Bad(_start("--soak", "soon"), "INVALID_ARGUMENT", "soak"),
    "waves for nobody": Bad(_start("--waves", "0,rest"), "INVALID_ARGUMENT", "waves"),
    "no wave": Bad(_start("--waves", "1,,2"), "INVALID_ARGUMENT", "waves"),
    "unknown rollout": Bad(("rollout", "watch", "rollout-nothing"), "NOT_FOUND", "rollout-nothing"),
    "unknown rollout to pause": Bad(("rollout", "pause", "rollout-nothing"), "NOT_FOUND", "rollout-nothing"),
    "unknown agent": Bad(("agents", "show", "nobody"), "HOST_NOT_FOUND", "nobody"),
    "no uses": Bad(("tokens", "join", "create", "--uses", "-1"), "INVALID_ARGUMENT", "max_uses"),
    "wrong token": Bad(("agents", "list"), "UNAUTHENTICATED", "", (("FLEETROLL_TOKEN_FILE", "WRONG"),)),
    "no token": Bad(("agents", "list"), "INVALID_ARGUMENT", "token-file", (("FLEETROLL_TOKEN_FILE", "ABSENT"),)),
    "no server": Bad(("agents", "list"), "UNAVAILABLE", "", (("FLEETROLL_SERVER", "NOBODY"),)),
    "no address": Bad(("agents", "list"), "INVALID_ARGUMENT", "server", (("FLEETROLL_SERVER", "nowhere"),)),
    "no certificate": Bad(("agents", "list"), "INVALID_ARGUMENT", "ca", (("FLEETROLL_CA", "WRONG"),)),
    "unknown option": Bad(("rollout", "start", "--please"), "", "--please"),
}


@pytest.fixture(scope="module")
def fleet(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run a server and two hosts."""
    fleet = template.copy(tmp_path_factory.mktemp("command-line"), "h1", "h2")
    try:
        fleet.start_server()
        for host in fleet.hosts.values():
            host.start()
        fleet.wait_online()
        yield fleet
    finally:
        fleet.end()


def stored(fleet: Fleet) -> dict[str, int]:
    """Return how many rows there are of what commands can make."""
    return {table: fleet.records.count(table) for table in STORED}


def test_bad_inputs_are_refused_in_one_line_with_a_code_and_store_nothing(fleet: Fleet, tmp_path: Path) -> None:
    before = stored(fleet)
    places = _places(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(BAD, pool.map(lambda bad: _run(fleet, bad, places), BAD.values()), strict=True))
    unclear = {name: answers[name] for name, bad in BAD.items() if not _is_clear(bad, answers[name])}
    assert not unclear
    assert stored(fleet) == before
    assert not list(fleet.data.spool.iterdir())
    print(f"command line: {len(BAD)} bad inputs, each one line with a code, nothing stored")


def _places(tmp_path: Path) -> dict[str, str]:
    """Return what stands for the words in capitals."""
    empty, wrong = tmp_path / "agent-1.9.0.tar.zst", tmp_path / "wrong.token"
    empty.touch()
    description = {"product": "agent", "version": "1.9.0", "platform": "linux-x86_64-cp311", "git_sha": "0" * 40}
    empty.with_name(empty.name + ".json").write_text(json.dumps(description))
    wrong.write_text("A" * 43)
    return {
        "EMPTY": str(empty),
        "WRONG": str(wrong),
        "ABSENT": str(tmp_path / "absent"),
        "OUT": str(tmp_path / "out"),
        "NOBODY": f"127.0.0.1:{free_port()}",
    }


def _run(fleet: Fleet, bad: Bad, places: dict[str, str]) -> Done:
    words = [places.get(word, word) for word in bad.words]
    return fleet.cli(*words, **{name: places.get(value, value) for name, value in bad.environment})


def _is_clear(bad: Bad, done: Done) -> bool:
    """Tell whether the answer is one line with the code and what is at fault; wrong usage shows the usage instead."""
    if "Traceback" in done.said or done.out or bad.names not in done.err:
        return False
    if not bad.code:
        return done.code == USAGE
    lines = done.err.splitlines()
    return done.code == ERROR and len(lines) == 1 and lines[0].startswith("fleetroll: ") and f"({bad.code})" in lines[0]


def test_exit_codes_say_how_a_rollout_ended_and_every_json_can_be_read(fleet: Fleet) -> None:
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(fleet.cli, *_start("--host", "h1", *QUICK, "--watch"))
        words = ("rollout", "start", "--version", FAILS_SELF_TEST, "--host", "h2", *QUICK, "--json")
        bad = json.loads(fleet.cli(*words).out)["rollout"]["id"]
        halted = pool.submit(fleet.cli, "rollout", "watch", bad)
        assert (good.result().code, halted.result().code) == (OK, HALTED), good.result().said + halted.result().said
    assert "COMPLETED" in good.result().out
    assert "SELF_TEST_FAILED" in fleet.cli("rollout", "show", bad).out
    watched = fleet.cli("rollout", "watch", bad, "--json")
    assert (watched.code, json.loads(watched.out)["rollout"]["id"]) == (HALTED, bad)
    cancelled = fleet.cli("rollout", "cancel", bad, "--reason", "a bad release", "--json")
    assert cancelled.code == OK, cancelled.said
    assert json.loads(cancelled.out)["rollout"]["id"] == bad
    wait("cancelled", lambda: fleet.cli("rollout", "watch", bad).code == CANCELLED, 20)
    for question in READABLE:
        done = fleet.cli(*question.split(), "--json")
        assert (done.code, isinstance(json.loads(done.out), dict)) == (OK, True), question
    assert json.loads(fleet.cli("rollout", "hosts", bad, "--json").out)["hosts"][0]["name"] == "h2"
