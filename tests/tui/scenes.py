"""A fleet as messages to a watcher: what the replay file of the pictures and most tests of screens are made of.

`python -m tests.tui.scenes` writes `tests/tui/fleet.jsonl` again; a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleetroll.v1 import agents_pb2, events_pb2, options_pb2, reasons_pb2, rollouts_pb2, tokens_pb2, types_pb2
from fleetroll_tui.feed.journal import Entry, line_of

FILE = Path(__file__).with_name("fleet.jsonl")
NOW = 1_790_000_000
"""2026-09-21 14:13:20Z."""
ROLLOUT, HALTED = "ro-web-proxy-150", "ro-agent-091"
SITES = ("ams", "fra", "lon", "nyc")
FLEET = "eu-edge"
State = types_pb2.AttemptState.Value


def state(name: str) -> types_pb2.AttemptState.ValueType:
    return State(f"ATTEMPT_STATE_{name}")


def code(name: str) -> reasons_pb2.ReasonCode.ValueType:
    return reasons_pb2.ReasonCode.Value(f"REASON_CODE_{name}")


def stamp(message: Any, field: str, at: float) -> None:
    getattr(message, field).FromMilliseconds(round(at * 1000))


def decision(by: str, reason: str = "", why: str = "UNSPECIFIED", at: float = NOW) -> types_pb2.Decision:
    made = types_pb2.Decision(
        actor=types_pb2.Actor(kind=types_pb2.ACTOR_KIND_TOKEN, id=by), reason=reason, code=code(why)
    )
    stamp(made, "decided_at", at)
    return made


def state_of(number: int) -> str:
    """How host so-and-so stands in the rollout that runs."""
    if number < 24:
        return "SUCCEEDED"
    return {24: "ROLLED_BACK", 25: "LOST", 26: "TRIAL", 27: "APPLYING", 28: "APPLYING", 29: "DOWNLOADING"}.get(
        number, "PENDING"
    )


def wave_of(number: int) -> int:
    return 1 if number < 2 else 2 if number < 12 else 3 if number < 36 else 4


def began_at(number: int) -> float:
    """When host so-and-so was offered the version: the first waves slowly, then faster."""
    return NOW - 2400 + (80 * number if number < 12 else 960 + 75 * (number - 12))


def attempt(number: int) -> types_pb2.Attempt:
    name = state_of(number)
    made = types_pb2.Attempt(
        id=f"ag-{number:05}/web-proxy/7",
        rollout_id=ROLLOUT,
        from_version="1.4.2",
        to_version="1.5.0",
        state=state(name),
    )
    if name == "PENDING":
        return made
    began = began_at(number)
    stamp(made, "offered_at", began)
    if name != "DOWNLOADING":
        stamp(made, "granted_at", began + 12)
    if name in {"SUCCEEDED", "ROLLED_BACK"}:
        stamp(made, "ended_at", began + 95)
    if name == "ROLLED_BACK":
        made.code, made.message = code("HEALTH_TIMEOUT"), "GET :8080/healthz: no answer in 30 s (3 tries)"
        made.output_tail = "listening on :8080\ncache: warming 12,000 keys\nfatal: out of file descriptors\n"
    if name == "LOST":
        made.code, made.message = code("HOST_WENT_OFFLINE"), "no word for 90 s after its session ended"
    if name == "APPLYING":
        made.step = "restart"
    return made


def agent(number: int) -> agents_pb2.Agent:
    name = state_of(number)
    site = SITES[number % 4]
    made = agents_pb2.Agent(
        id=f"ag-{number:05}",
        fleet_id=FLEET,
        name=f"edge-{number:05}.{site}",
        platform=types_pb2.Platform(os="linux", arch="aarch64" if number % 5 == 4 else "x86_64", abi="cp311"),
        labels={"site": site, "tier": "edge"},
        online=number not in {25, 40, 41},
        time_zone="Europe/Amsterdam",
        disk_free_bytes=12_400_000_000 + number,
    )
    stamp(made, "last_seen_at", NOW - (2 if made.online else 340 + number))
    stamp(made, "enrolled_at", NOW - 86400 * 90)
    product = made.products.add(
        product="web-proxy",
        current_version="1.5.0" if name == "SUCCEEDED" else "1.4.2" if number != 47 else "1.3.9",
        target_version="1.5.0" if name != "PENDING" else "",
        update_state=state(name if name != "PENDING" else "UNSPECIFIED"),
        healthy=name == "SUCCEEDED",
    )
    if name in {"SUCCEEDED", "ROLLED_BACK", "LOST"}:
        product.last_attempt.CopyFrom(attempt(number))
    if name == "SUCCEEDED":
        stamp(product, "last_success_at", began_at(number) + 95)
    return made


HOSTS = 48


def counts(numbers: list[int]) -> list[rollouts_pb2.StateCount]:
    names = [state_of(number) for number in numbers]
    return [rollouts_pb2.StateCount(state=state(name), hosts=names.count(name)) for name in sorted(set(names))]


def wave(number: int, name: str, gate: str) -> rollouts_pb2.Wave:
    mine = [each for each in range(HOSTS) if wave_of(each) == number]
    tried = [each for each in mine if state_of(each) not in {"PENDING", "DOWNLOADING"}]
    made = rollouts_pb2.Wave(
        number=number,
        state=rollouts_pb2.WaveState.Value(f"WAVE_STATE_{name}"),
        hosts=len(mine),
        counts=counts(mine),
        gate=gate,
        bad=sum(state_of(each) in {"ROLLED_BACK", "LOST"} for each in mine),
        attempted=len(tried),
    )
    if name != "PENDING":
        stamp(made, "opened_at", NOW - 2500 + 600 * (number - 1))
    if name == "PASSED":
        stamp(made, "ended_at", NOW - 2000 + 600 * (number - 1))
    return made


def rollout() -> rollouts_pb2.Rollout:
    made = rollouts_pb2.Rollout(
        id=ROLLOUT,
        fleet_id=FLEET,
        product="web-proxy",
        version="1.5.0",
        state=rollouts_pb2.ROLLOUT_STATE_RUNNING,
        decision_revision=9,
        waves=[
            wave(1, "PASSED", "0 of 2 bad"),
            wave(2, "PASSED", "0 of 10 bad"),
            wave(3, "OPEN", "2 of 17 bad, limit 3"),
            wave(4, "PENDING", ""),
        ],
        limits=rollouts_pb2.RolloutLimits(
            max_concurrent=4, max_failed=3, failure_limit=0.1, min_sample=1, max_out=6, max_downloading=50
        ),
        state_decision=decision("ana", at=NOW - 2500),
        started=decision("ana", "quarterly update", at=NOW - 2500),
        counts=counts(list(range(HOSTS))),
    )
    made.limits.soak.seconds = 60
    made.limits.bake.seconds = 300
    return made


def halted() -> rollouts_pb2.Rollout:
    made = rollouts_pb2.Rollout(
        id=HALTED,
        fleet_id=FLEET,
        product="agent",
        version="0.9.1",
        state=rollouts_pb2.ROLLOUT_STATE_HALTED,
        decision_revision=4,
        waves=[
            rollouts_pb2.Wave(
                number=1,
                state=rollouts_pb2.WAVE_STATE_FAILED,
                hosts=1,
                counts=[rollouts_pb2.StateCount(state=state("ROLLED_BACK"), hosts=1)],
                gate="1 bad, limit 1",
                bad=1,
                attempted=1,
            ),
            rollouts_pb2.Wave(
                number=2,
                state=rollouts_pb2.WAVE_STATE_PENDING,
                hosts=47,
                counts=[rollouts_pb2.StateCount(state=state("PENDING"), hosts=47)],
            ),
        ],
        limits=rollouts_pb2.RolloutLimits(max_concurrent=1, max_failed=1, failure_limit=0.02, max_out=1),
        state_decision=decision("gate", "1 bad of 1 tried", "START_FAILED", at=NOW - 7000),
        started=decision("ben", "hotfix", at=NOW - 7200),
        counts=[
            rollouts_pb2.StateCount(state=state("ROLLED_BACK"), hosts=1),
            rollouts_pb2.StateCount(state=state("PENDING"), hosts=47),
        ],
    )
    made.limits.soak.seconds = 60
    return made


def completed(number: int) -> rollouts_pb2.Rollout:
    made = rollouts_pb2.Rollout(
        id=f"ro-old-{number}",
        fleet_id=FLEET,
        product="web-proxy",
        version=f"1.4.{number}",
        state=rollouts_pb2.ROLLOUT_STATE_COMPLETED,
        decision_revision=7,
        waves=[
            rollouts_pb2.Wave(
                number=1,
                state=rollouts_pb2.WAVE_STATE_PASSED,
                hosts=HOSTS,
                counts=[rollouts_pb2.StateCount(state=state("SUCCEEDED"), hosts=HOSTS)],
                attempted=HOSTS,
            )
        ],
        limits=rollouts_pb2.RolloutLimits(max_concurrent=4, max_failed=1, failure_limit=0.02),
        started=decision("ana", at=NOW - 86400 * (4 - number)),
        counts=[rollouts_pb2.StateCount(state=state("SUCCEEDED"), hosts=HOSTS)],
    )
    stamp(made, "ended_at", NOW - 86400 * (4 - number) + 3000)
    return made


def steps(number: int) -> list[tuple[str, float]]:
    """The states that a host went through, and seconds after its offer; of most hosts the last alone, to be short."""
    way = [("OFFERED", 0), ("DOWNLOADING", 1), ("STAGED", 9), ("GRANTED", 12), ("APPLYING", 13), ("TRIAL", 35)]
    if number in {24, 25}:
        return [*way, (state_of(number), 95)]
    last = state_of(number)
    return [(last, dict(way).get(last, 95))]


def events() -> list[events_pb2.Event]:
    found = []
    for number, name, later in [(each, *step) for each in range(30) for step in steps(each)]:
        made = events_pb2.Event(
            id=f"ev-{number:05}-{name}",
            fleet_id=FLEET,
            decision=decision("engine" if number % 7 else "ana"),
            rollout_id=ROLLOUT,
            agent_id=f"ag-{number:05}",
            attempt_id=f"ag-{number:05}/web-proxy/7",
            attempt_state=state(name),
            kind="attempt.state",
            code=attempt(number).code if name in {"ROLLED_BACK", "LOST"} else code("UNSPECIFIED"),
            message=attempt(number).message if name in {"ROLLED_BACK", "LOST"} else "",
        )
        stamp(made, "occurred_at", began_at(number) + later)
        found.append(made)
    opened = events_pb2.Event(
        id="ev-open",
        fleet_id=FLEET,
        decision=decision("engine"),
        rollout_id=ROLLOUT,
        kind="wave.state",
        message="wave 3 open",
    )
    stamp(opened, "occurred_at", NOW - 1300)
    return sorted([*found, opened], key=lambda event: event.occurred_at.seconds)


def members() -> list[rollouts_pb2.RolloutHost]:
    found = []
    for number in range(HOSTS):
        host = agent(number)
        made = rollouts_pb2.RolloutHost(
            agent_id=host.id, name=host.name, wave=wave_of(number), attempt=attempt(number), online=host.online
        )
        if number in {40, 41}:
            made.waiting = code("HOST_OFFLINE")
        stamp(made, "changed_at", began_at(number) if state_of(number) != "PENDING" else NOW - 2500)
        found.append(made)
    return found


def message(**parts: Any) -> events_pb2.WatchEventsResponse:
    made = events_pb2.WatchEventsResponse(cursor=b"1", **parts)
    stamp(made, "sent_at", NOW)
    return made


def snapshot() -> events_pb2.WatchEventsResponse:
    return message(
        snapshot=events_pb2.Snapshot(
            last=True,
            rollouts=[rollout(), halted(), completed(1), completed(2)],
            agents=[agent(number) for number in range(HOSTS)],
            token=token(),
        )
    )


def token(role: str = "ADMIN", days: float = 60, **values: Any) -> tokens_pb2.ApiToken:
    made = tokens_pb2.ApiToken(id="token-1", name="anna", role=options_pb2.Role.Value(f"ROLE_{role}"), **values)
    stamp(made, "expires_at", NOW + days * 86_400)
    return made


def recording() -> list[Entry]:
    return [
        Entry(0.0, "", snapshot()),
        Entry(0.0, "", message(changes=events_pb2.Changes(events=events()))),
        Entry(0.0, ROLLOUT, message(snapshot=events_pb2.Snapshot(last=True, rollout_hosts=members()))),
    ]


def text() -> str:
    return "".join(line_of(entry) + "\n" for entry in recording())


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
