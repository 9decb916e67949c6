"""What must hold of the rows at every commit, counted anew from them and from what people have decided.

Nothing of the engine is asked: states, counts, limits and stops are read and compared in this module's own words. It
looks at each commit beside the one before, so it sees what a single transaction did.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from tests.rollouts.pictures import instant_of, json_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tests.rollouts.pictures import Picture, Place

BEFORE = frozenset({"pending", "offered", "downloading", "staged"})
OUT = frozenset({"granted", "applying", "trial", "promoted", "soaking"})
RESULTS = frozenset({"succeeded", "failed", "rolled_back", "rollback_failed", "cancelled", "skipped", "expired"})
BAD = frozenset({"failed", "rolled_back", "rollback_failed", "lost"})
ENDED = frozenset({"completed", "cancelled"})
AWAY = frozenset({"HOST_OFFLINE", "HELD_LOCALLY", "QUARANTINED", "CHECK_IN"})
FOR_GOOD = frozenset({"YANKED", "BELOW_FLOOR", "CANCELLED_BY", "WAVE_NOT_PASSED", "THRESHOLD_MISSING"})
_LATER = {"succeeded": {"rolled_back", "lost"}}
"""What may become of a result: a version that was kept goes back, or its host falls silent."""


class Judge:
    """Looks at every commit.

    Attributes:
        counts: what has happened, by name.
        allowed: rollouts that a person sets going by the next commit.
        stopped: by rollout, why there may be no Go: what a person decided, or a gate.
        set_back: the server's clock went back once: of two of its instants nobody can tell any more which came first.
        up_seconds: how long a server has been there, in all.
        racing: more than one transaction lies between two looks: what stopped a rollout meanwhile may have come last.
        let_go: hosts whose charges a person gave back (revoked, dismissed).
        went: hosts to which each Go was given, in order.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.counts: Counter[str] = Counter()
        self.allowed: set[str] = set()
        self.stopped: dict[str, str] = {}
        self.let_go: set[str] = set()
        self.unforced: set[tuple[str, str, int, str]] = set()
        self.forgiven: set[tuple[str, str]] = set()
        self.kept_late: set[tuple[str, str]] = set()
        self.set_back = False
        self.up_seconds = 0.0
        self.baking_since: dict[tuple[str, int], float] = {}
        self.racing = False
        self.stops_before: dict[str, str] = {}
        self.fresh: set[tuple[str, str, int, str]] = set()
        self.last: Picture | None = None

    def look(self, now: Picture, at: datetime) -> None:
        """Judge one commit."""
        before, self.last = self.last, now
        if before is None:
            return
        stops = self.stops_before if self.racing else dict(self.stopped)  # a Go and a halt may share a commit
        self._follow_states(before, now)
        self._follow_places(before, now)
        gos = self._gos(before, now)
        self._note_unforced(before, now, gos)
        for key in gos:
            self._check_go(before, now, now.places[key], at, stops)
        self._check_budgets(now)
        self._check_waves(before, now)
        self._check_counters(now)
        self._check_claims(now)
        self._check_deadlines(now)
        self._check_wishes(now)
        self.allowed.clear()
        self.stops_before = dict(self.stopped)

    # What has happened.

    def _follow_states(self, before: Picture, now: Picture) -> None:
        """A rollout that stands goes on by a person alone; what was bad then is forgiven by that."""
        for key, rollout in now.rollouts.items():
            old = before.rollouts.get(key)
            was = old.state if old is not None else ""
            assert "INTERNAL" not in {rollout.state_code, rollout.late_stop_code}, f"{key} could not be looked at"
            if rollout.state != was:
                self.counts[f"rollouts {rollout.state}"] += 1
                assert was not in ENDED, f"{key} left {was} for {rollout.state}"
                went_on = was in {"paused", "halted"} and rollout.state in {"running", "completed"}
                assert not went_on or key in self.allowed, f"{key} left {was} for {rollout.state} by itself"
            failed = any(wave.state == "failed" for (name, _), wave in before.waves.items() if name == key)
            if key in self.allowed and (was == "halted" or (was == "paused" and failed)):
                self.forgiven |= {p for p, place in before.places.items() if p[0] == key and place.state in BAD}
            if rollout.state == "completed" != was:
                self.forgiven |= {p for p, place in now.places.items() if p[0] == key and place.state in BAD}
            if rollout.state in {"running", "completed"} and not rollout.late_stop_code:
                if key in self.allowed or rollout.state != was:
                    self.stopped.pop(key, None)
            elif key not in self.stopped:
                self.stopped[key] = f"{rollout.state} {rollout.state_code} {rollout.late_stop_code}".rstrip()
            if old is not None and old.late_stop_code and not rollout.late_stop_code:
                assert key in self.allowed, f"late hosts of {key} go on by themselves"
                assert old.late_stop_code not in FOR_GOOD, f"late hosts of {key} go on after {old.late_stop_code}"

    def _follow_places(self, before: Picture, now: Picture) -> None:
        """A host ends in one result, and stays there."""
        for key, place in now.places.items():
            old = before.places.get(key)
            if old is None or old.state == place.state:
                continue
            self.counts[f"hosts {place.state}"] += 1
            if old.state in RESULTS:
                assert place.state in _LATER.get(old.state, ()), f"{key} left {old.state} for {place.state}"
            if old.state == "lost":
                self.counts["came back"] += 1
            done = now.rollouts[key[0]].state == "completed" and before.rollouts[key[0]].state == "completed"
            if place.state == "succeeded":
                (self.kept_late.add if done else self.kept_late.discard)(key)
            if old.state == "succeeded" and place.state == "rolled_back" and done and key not in self.kept_late:
                self.forgiven.add(key)
            if place.state not in BAD:
                self.forgiven.discard(key)

    def _gos(self, before: Picture, now: Picture) -> list[tuple[str, str]]:
        """Return the places that were given Go by this commit."""
        found = []
        for key, place in now.places.items():
            if place.state != "granted":
                continue
            old = before.places[key]
            if old.state != "granted" or (old.session_epoch, old.last_ask) != (place.session_epoch, place.last_ask):
                found.append(key)
        self.counts["Gos"] += len(found)
        return found

    # What must hold.

    def _check_go(self, before: Picture, now: Picture, place: Place, at: datetime, stops: dict[str, str]) -> None:
        """Judge a Go by what had been decided until then."""
        name, rollout = f"Go for {place.agent_id} in {place.rollout_id}", before.rollouts[place.rollout_id]
        assert place.rollout_id not in stops, f"{name}: {stops[place.rollout_id]}"
        assert rollout.state in {"running", "completed"}, f"{name}: {rollout}"
        assert not rollout.late_stop_code, f"{name}: {rollout}"
        assert not before.pressed, f"{name} under the kill switch"
        assert rollout.release_id in before.listed, f"{name}: the release was taken back"
        agent = now.agents[place.agent_id]
        assert not agent.quarantined, f"{name} in quarantine"
        assert not agent.revoked, f"{name}, which is revoked"
        assert agent.server_id, f"{name} without a session"
        assert at < instant_of(rollout.not_after), f"{name} out of time"
        if rollout.state == "completed":
            self.counts["late Gos"] += 1
            others = [p for p in now.places.values() if p.rollout_id == rollout.id and p.state in OUT and p != place]
            assert not others, f"{name}, late, while {others} are past it"
        for scope in _scopes(place):
            self._check_room(before, now, place, scope)

    def _check_room(self, before: Picture, now: Picture, place: Place, scope: str) -> None:
        """The scope had room for it, counted by what each host holds."""
        mine = (place.agent_id, place.product)
        if before.charges.get((*mine, place.generation or 0, scope)) == "in_use":
            return  # on the same charge
        in_use, broken = _held(now, scope)
        own = any(kind == "broken" for k, kind in before.charges.items() if k[:2] == mine and k[3] == scope)
        in_use -= sum(charge[3] == scope for charge in self.fresh)
        limit = now.budgets[scope]
        assert in_use <= limit.max_in_use, f"Go for {place.agent_id}: {scope} {in_use} of {limit.max_in_use} in use"
        assert own or in_use + broken <= limit.max_out, f"Go for {place.agent_id}: {scope} {in_use}+{broken} out"

    def _note_unforced(self, before: Picture, now: Picture, gos: Iterable[tuple[str, str]]) -> None:
        """Note what is charged without Go: the server found hosts past it, or root began something there."""
        granted = {(now.places[key].agent_id, now.places[key].product) for key in gos}
        held = {charge for charge, kind in now.charges.items() if kind == "in_use"}
        new = {charge for charge in held if before.charges.get(charge) != "in_use"}
        self.fresh = {charge for charge in new if charge[:2] not in granted}
        self.unforced |= self.fresh
        self.counts["unconditional charges"] += sum(charge[3] == "global" for charge in self.fresh)

    def _check_budgets(self, now: Picture) -> None:
        """What is held is what hosts past Go and broken ones are; beyond a limit is only what nobody could refuse."""
        self.unforced = {charge for charge in self.unforced if now.charges.get(charge) == "in_use"}
        for scope, row in now.budgets.items():
            in_use, broken = _held(now, scope)
            assert (row.in_use, row.broken) == (in_use, broken), f"{scope}: {row}, held are {in_use} and {broken}"
            forced = in_use - sum(charge[3] == scope for charge in self.unforced)
            assert forced <= row.max_in_use, f"{scope}: {forced} have Go, {row.max_in_use} may"
            self.counts["above a limit"] += in_use > row.max_in_use
        out = {(*k[1:], p.product, p.generation): p for k, p in now.places.items() if p.state in OUT}
        wanted = {(a, product, g or 0, scope) for (a, product, g), p in out.items() for scope in _scopes(p)}
        held = {charge for charge, kind in now.charges.items() if kind == "in_use" and charge[2] > 0}
        assert held == wanted, f"held {sorted(held - wanted)}, not held {sorted(wanted - held)}"
        for key, place in now.places.items():
            if place.state == "lost" or (place.state == "rolled_back" and place.attempted):
                self._check_broken(now, key, place)

    def _check_broken(self, now: Picture, key: tuple[str, str], place: Place) -> None:
        """One that is lost or went back holds its place in its rollout, until that ends or a person resumes it."""
        rollout = now.rollouts[key[0]]
        exempt = key in self.forgiven or rollout.state in ENDED or place.agent_id in self.let_go
        own = (place.agent_id, place.product, place.generation or 0, f"rollout/{key[0]}")
        assert exempt or now.charges.get(own) == "broken", f"{key} is {place.state} and holds nothing"

    def _check_waves(self, before: Picture, now: Picture) -> None:
        """A wave that passed may pass; a later one opens behind it alone."""
        for (rollout, number), wave in now.waves.items():
            old = before.waves.get((rollout, number))
            was = old.state if old is not None else "pending"
            if wave.state == "baking" and was != "baking":
                self.baking_since[rollout, number] = self.up_seconds
            if wave.state == "passed" and was != "passed":
                self._check_pass(now, rollout, number)
                self.forgiven |= {(p.rollout_id, p.agent_id) for p in now.by_wave[rollout, number] if p.state in BAD}
            if wave.state == "open" and was in {"pending", "awaiting_approval"} and number > 1:
                self.counts["later waves"] += 1
                assert now.waves[rollout, number - 1].state == "passed", f"wave {number} of {rollout} opened too soon"
            if wave.state == "failed" and was != "failed":
                self.counts["gates failed"] += 1

    def _check_pass(self, now: Picture, rollout: str, number: int) -> None:
        """With what is unknown counted as failed the gate would say PASS."""
        name, places = f"wave {number} of {rollout}", now.by_wave[rollout, number]
        limits, wave = json_of(now.rollouts[rollout].limits), now.waves[rollout, number]
        unknown = [p.agent_id for p in places if not _has_ended(p) and not (_waits(p) and p.waiting != "CHECK_IN")]
        assert not unknown, f"{name} passed while {unknown} had not ended"
        counted = [p for p in places if (rollout, p.agent_id) not in self.forgiven]
        late = [
            p
            for n in range(1, number)
            for p in now.by_wave[rollout, n]
            if p.state in BAD and (rollout, p.agent_id) not in self.forgiven
        ]
        bad, tried = _bad(counted) + len(late), _tried(counted) + len(late)
        assert bad < limits["max_failed"], f"{name} passed with {bad} bad"
        assert not _surely_above(bad, tried, limits["failure_limit"]), f"{name} passed with {bad} of {tried} bad"
        self._check_cohorts(now, name, counted, limits["failure_limit"])
        if "passed by" in wave.gate:
            return
        watched = self.up_seconds - self.baking_since.get((rollout, number), self.up_seconds)
        assert watched >= limits["bake_seconds"], f"{name} passed after {watched} s of its bake"
        assert any(p.state == "succeeded" for p in places), f"{name} passed without a success"
        assert _tried(places) >= max(1, min(limits["min_sample"], len(places))), f"{name} passed untried"

    def _check_cohorts(self, now: Picture, name: str, counted: list[Place], limit: float) -> None:
        """No group that may fail together did."""
        groups: dict[str, list[Place]] = {}
        for place in counted:
            for label in _labels(now, place.agent_id):
                groups.setdefault(label, []).append(place)
        for label, members in groups.items():
            bad, tried = _bad(members), _tried(members)
            assert not (tried > 1 and bad == tried), f"{name} passed with all of {label} bad"
            assert not (tried > 2 and bad > 1 and _surely_above(bad, tried, limit)), f"{name}: {label}"

    def _check_counters(self, now: Picture) -> None:
        """Counters equal a recount."""
        for key, wave in now.waves.items():
            places, stored = now.by_wave[key], json_of(wave.counters)
            waiting = [p for p in places if _waits(p)]
            counted = {
                "planned": len(places),
                "attempted": _tried(places),
                "bad": _bad(places),
                "ended": sum(map(_has_ended, places)),
                "waiting": len(waiting),
                "succeeded": sum(p.state == "succeeded" for p in places),
                "pending": sum(p.state == "pending" and not _waits(p) for p in places),
                "downloading": sum(p.state in {"offered", "downloading"} and not _waits(p) for p in places),
                "lost": sum(p.state == "lost" and p.ended_at is None for p in places),
                "expected": sum(p.waiting == "CHECK_IN" for p in waiting),
            }
            found = {name: stored[name] for name in counted}
            assert found == counted, f"wave {key}: stored {_other(found, counted)}, counted {_other(counted, found)}"
            forgiven = sum((key[0], p.agent_id) in self.forgiven for p in places)
            known = 0 <= stored["forgiven_bad"] <= forgiven
            assert known or self.set_back, f"{key}: {stored['forgiven_bad']} forgiven of {forgiven}"
            for label, pair in stored["cohorts"].items():
                members = [p for p in places if label in _labels(now, p.agent_id)]
                assert list(pair) == [_tried(members), _bad(members)], f"wave {key}: {label} is counted {pair}"

    def _check_claims(self, now: Picture) -> None:
        """A claim runs from the offer to the end."""
        for (agent, product), rollout in now.claims.items():
            place = now.places.get((rollout, agent))
            held = place is not None and place.product == product and not _is_over(place)
            assert held, f"{rollout} claims {product} on {agent}: {place}"
        for (rollout, agent), place in now.places.items():
            if place.state != "pending" and not _is_over(place):
                assert now.claims.get((agent, place.product)) == rollout, f"{place} without a claim"

    def _check_deadlines(self, now: Picture) -> None:
        """Silence is never success: every state that waits for a host's word has an end."""
        for place in now.places.values():
            agent = now.agents[place.agent_id]
            timed = place.state in OUT - {"granted"} or (place.state == "granted" and not agent.server_id)
            timed = timed or (place.state in {"offered", "downloading"} and bool(agent.server_id))
            assert place.deadline is not None or not timed, f"{place} may stay for ever"
            assert not agent.revoked or place.state not in BEFORE, f"{place} waits for a host that can't come back"

    def _check_wishes(self, now: Picture) -> None:
        """What the server has ended is desired no more."""
        for (agent, product), wish in now.wishes.items():
            place = now.places.get((wish.rollout_id, agent))
            if not wish.version or place is None or place.product != product:
                continue
            told = place.state not in {"skipped", "expired"} and (place.state != "pending" or place.generation is None)
            assert told or _may_be_desired(now, place), f"{place} ended, and {wish} stands"


def _may_be_desired(now: Picture, place: Place) -> bool:
    """Tell whether a queued host may have an assignment that stands: its rollout is open, or offers it again."""
    return place.state == "pending" and now.rollouts[place.rollout_id].state != "cancelled"


def _scopes(place: Place) -> tuple[str, ...]:
    return ("global", "fleet/default", f"rollout/{place.rollout_id}")


def _held(now: Picture, scope: str) -> tuple[int, int]:
    kinds = [kind for key, kind in now.charges.items() if key[3] == scope]
    return kinds.count("in_use"), kinds.count("broken")


def _labels(now: Picture, agent_id: str) -> set[str]:
    agent = now.agents[agent_id]
    own = {f"os={agent.os}", f"arch={agent.arch}", f"abi={agent.abi}"}
    return own | {f"{key}={value}" for key, value in json_of(agent.labels).items()}


def _is_over(place: Place) -> bool:
    return place.state in RESULTS or (place.state == "lost" and place.ended_at is not None)


def _has_ended(place: Place) -> bool:
    return place.state in RESULTS or place.state == "lost"


def _waits(place: Place) -> bool:
    return place.state in BEFORE and place.waiting in AWAY


def _bad(places: Iterable[Place]) -> int:
    return sum(place.state in BAD for place in places)


def _tried(places: Iterable[Place]) -> int:
    return sum(bool(place.attempted) or place.state in BAD for place in places)


def _surely_above(bad: int, tried: int, limit: float) -> bool:
    """Tell whether the rate is above the limit by more than 1.645 standard deviations at the limit (score test)."""
    if not bad or limit >= 1:
        return False
    return bad / tried - limit > 1.6448536269514722 * math.sqrt(limit * (1 - limit) / tried)


def _other(found: dict[str, int], than: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in found.items() if than[name] != value}
