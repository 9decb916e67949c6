"""The console's own values. Instants are seconds since the epoch by the server's clock; 0 where there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

ACTIVE = frozenset({"offered", "downloading", "staged", "granted", "applying", "trial", "promoted", "soaking"})
"""States of an attempt that goes on."""
AFTER_GO = frozenset({"granted", "applying", "trial", "promoted", "soaking"})
"""States of an attempt that has its permit and has not ended."""
BAD = frozenset({"failed", "rolled_back", "rollback_failed", "lost"})
"""States that speak against a version."""
ENDED = BAD | {"succeeded", "cancelled", "skipped", "expired", "excused"}
ROLLOUT_ENDED = frozenset({"completed", "cancelled", "superseded", "rolled_back"})


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, why and when."""

    by: str = ""
    reason: str = ""
    code: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one host to reach a version; ``state`` is "" for none."""

    id: str = ""
    rollout_id: str = ""
    from_version: str = ""
    to_version: str = ""
    state: str = ""
    step: str = ""
    code: str = ""
    message: str = ""
    output_tail: str = ""
    offered_at: float = 0.0
    granted_at: float = 0.0
    ended_at: float = 0.0
    unproven: bool = False


NO_ATTEMPT = Attempt()


@dataclass(frozen=True, slots=True)
class Product:
    """One product on one host."""

    name: str
    current: str = ""
    target: str = ""
    state: str = ""
    last_attempt: Attempt = NO_ATTEMPT
    last_success_at: float = 0.0
    healthy: bool = False
    note: str = ""
    changed_on_host: bool = False


NO_PRODUCT = Product("")


@dataclass(frozen=True, slots=True)
class Host:
    """One host as the server knows it."""

    id: str
    fleet_id: str
    name: str
    os: str = ""
    arch: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    online: bool = False
    last_seen_at: float = 0.0
    products: tuple[Product, ...] = ()
    quarantined: bool = False
    revoked: bool = False
    enrolled_at: float = 0.0
    time_zone: str = ""
    disk_free_bytes: int = 0
    container: str = ""

    @property
    def product(self) -> Product:
        """Return the product that rows show: the first that has work going on, else the first."""
        for product in self.products:
            if product.state in ACTIVE or product.state in BAD:
                return product
        return self.products[0] if self.products else NO_PRODUCT

    @property
    def state(self) -> str:
        """Return the state that rows show: an identity's trouble before that of an update; "" for none."""
        if self.revoked:
            return "revoked"
        return "quarantined" if self.quarantined else self.product.state


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave as it stands; ``forgiven_bad`` of its bad hosts fail nothing any more."""

    number: int
    state: str
    hosts: int
    counts: dict[str, int] = field(default_factory=dict)
    gate: str = ""
    bad: int = 0
    attempted: int = 0
    baked_seconds: float = 0.0
    opened_at: float = 0.0
    ended_at: float = 0.0
    forgiven_bad: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force of a rollout."""

    max_concurrent: int = 1
    max_failed: int = 1
    failure_limit: float = 0.02
    min_sample: int = 1
    bake_seconds: float = 0.0
    soak_seconds: float = 60.0
    max_downloading: int = 50
    max_out: int = 1


@dataclass(frozen=True, slots=True)
class Late:
    """The late hosts of a completed rollout."""

    left: int = 0
    waiting: int = 0
    under_way: int = 0
    bad: int = 0
    stopped: Decision | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout as it stands."""

    id: str
    fleet_id: str
    product: str
    version: str
    state: str
    revision: int = 0
    waves: tuple[Wave, ...] = ()
    limits: Limits = Limits()
    why: Decision = Decision()
    started: Decision = Decision()
    ended_at: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    manual: bool = False
    waiting_for: str = ""
    late: Late | None = None

    @property
    def ended(self) -> bool:
        """Tell whether nothing of it goes on any more, late hosts apart."""
        return self.state in ROLLOUT_ENDED

    @property
    def hosts(self) -> int:
        """Return how many hosts it plans."""
        return sum(wave.hosts for wave in self.waves)

    @property
    def bad(self) -> int:
        """Return how many hosts speak against it, by its waves."""
        return sum(wave.bad for wave in self.waves)

    @property
    def wave(self) -> Wave | None:
        """Return the wave that it stands at: the first that has not passed, else the last."""
        for wave in self.waves:
            if wave.state != "passed":
                return wave
        return self.waves[-1] if self.waves else None

    def hosts_in(self, states: frozenset[str]) -> int:
        """Return how many hosts are in one of these states."""
        return sum(hosts for state, hosts in self.counts.items() if state in states)


@dataclass(frozen=True, slots=True)
class Member:
    """One host in one rollout; its id is the host's."""

    id: str
    name: str
    wave: int
    attempt: Attempt = NO_ATTEMPT
    waiting: str = ""
    online: bool = False
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Happening:
    """One committed fact."""

    id: str
    at: float
    kind: str
    fleet_id: str = ""
    by: str = ""
    reason: str = ""
    code: str = ""
    rollout_id: str = ""
    host_id: str = ""
    state: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """One scope's kill switch; ``epoch`` counts its presses and lifts."""

    scope: str
    active: bool
    decision: Decision = Decision()
    in_use: int = 0
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """Whose right the console uses.

    Attributes:
        name: as people call it.
        role: in a word.
        rank: higher for the role that may do more: the number of the role in the contract.
        scopes: empty for every scope of its role.
        expires_at: seconds since the epoch; 0 for never.
    """

    name: str
    role: str
    rank: int
    scopes: tuple[str, ...] = ()
    expires_at: float = 0.0
