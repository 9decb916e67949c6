"""A host as the protocol wants it: its assignments, its Go, its permit to keep, the kill switch, its journal.

Nothing here knows of a server. What a host does by itself (when, and with which luck) is decided by who walks. A host
that breaks its own promises stops the test: no attempt begins twice, and nothing is applied without Go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from fleetroll_common.values.codes import Code
from fleetroll_common.values.generations import MAX_JUMP
from fleetroll_server.domain.heard import Ask as Asked
from fleetroll_server.domain.heard import HostSaid, ProductSaid, ReportLine, Said
from fleetroll_server.domain.states import BEFORE_GO, FINAL, AttemptState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2

A = AttemptState
AGENT, APP = "agent", "shop"
OLD = "1.0.0"
GO_SECONDS, LEASE_SECONDS = 60.0, 360.0
ON_THE_WAY = frozenset({A.APPLYING, A.TRIAL, A.SOAKING})


class HostError(AssertionError):
    """A host was led to do what no host may do."""


@cache
def digest(product: str, version: str, arch: str) -> str:
    """Return the hash of an artefact, hex."""
    return hashlib.sha256(f"{product} {version} {arch}".encode()).hexdigest()


@dataclass
class Job:
    """An attempt that is going on. ``local`` is its number where a person has started it on the host."""

    generation: int
    version: str
    stage: AttemptState = A.DOWNLOADING
    local: int = 0
    stop: Code | None = None
    promoted: bool = False
    lease_until: float | None = None
    note: Code | None = None


@dataclass
class Product:
    """One product there: what runs, the newest generation that was taken, what goes on, what waits behind it."""

    name: str
    version: str = OLD
    previous: str = OLD
    healthy: bool = True
    highest: int = 0
    job: Job | None = None
    behind: Job | None = None
    held: bool = False
    locals: int = 0
    ask_at: float = 0.0
    """When it is worth asking for Go again."""
    kept: int = 0
    """The generation that put the version there which runs; 0 where none did."""

    @property
    def on_trial(self) -> bool:
        """Tell whether what runs is not kept yet."""
        return self.job is not None and self.job.stage is A.TRIAL


@dataclass
class Ask:
    """A wish for Go that stands: of one session, good for a while."""

    product: str
    number: int
    sent_at: float
    go: bool = False


@dataclass
class Host:
    """A machine. ``arch`` decides which artefact fits it; ``check_in`` is how often it comes, 0 = it holds its line."""

    name: str
    arch: str
    products: dict[str, Product]
    check_in: float = 0.0
    comes_at: float = 0.0
    alive: bool = True
    asleep: bool = False
    """It is off until a rollout has completed without it."""
    revoked: bool = False
    cloned: bool = False
    life: int = 1
    sequence: int = 0
    epoch: int = 0
    """Of the newest session that it opened, whether it knows of it or not."""
    asks: int = 0
    ask: Ask | None = None
    suspended: set[str] = field(default_factory=set)
    journal: list[ReportLine] = field(default_factory=list)
    begun: set[tuple[str, int]] = field(default_factory=set)
    """Attempts of the server that were past Go here; no crash and no new disk takes this from the test."""
    applied: int = 0

    # What it says.

    def hello(self) -> HostSaid:
        """Return what it says of itself; every older Go is void from here on."""
        self.ask, self.asks = None, 0
        for product in self.products.values():
            product.ask_at = 0.0
        shown = [self._shown(product, job) for product, job in self.jobs()]
        ended = [line.said for line in self.journal if line.said is not None and line.said.state in FINAL]
        agent = self.products[AGENT]
        return HostSaid(
            os="linux",
            arch=self.arch,
            abi="cp311",
            time_zone="UTC",
            disk_free_bytes=1,
            container_marker="",
            boot_id="",
            agent_version=agent.version,
            launcher_version="1",
            journal_id=self.journal_id,
            products=tuple(self._said_of(product) for product in self.products.values()),
            attempts=tuple(shown + ended),
            check_in=timedelta(seconds=self.check_in) if self.check_in else None,
        )

    @property
    def journal_id(self) -> str:
        """Return the name of its journal; a new disk begins another one."""
        return f"{self.name}-{self.life}"

    def jobs(self) -> Iterator[tuple[Product, Job]]:
        """Give every attempt that is going on, and what waits behind one."""
        for product in self.products.values():
            yield from ((product, job) for job in (product.job, product.behind) if job is not None)

    def say(self, product: Product, job: Job, state: AttemptState, code: Code | None = None, **facts: object) -> None:
        """Write a report into the journal, where it stays until it is acknowledged."""
        self.sequence += 1
        said = self._word(product, job, state, code, **facts)
        self.journal.append(
            ReportLine(self.sequence, product.name, job.generation, said, str(code or ""), payload=b"report")
        )

    def acked(self, sequence: int) -> None:
        """Forget what the server has."""
        self.journal = [line for line in self.journal if line.sequence > sequence]

    # What it is told.

    def assigned(self, product: Product, wire: stream_pb2.Assignment) -> None:
        """Take a generation above the highest, once; say again where the highest stands."""
        generation = wire.generation
        if generation == product.highest:
            self._say_again(product, generation)
        if generation <= product.highest or generation > product.highest + MAX_JUMP:
            return
        product.highest = generation
        fresh = Job(generation, wire.version) if wire.version else None
        job = product.job
        if job is not None and (job.stage not in BEFORE_GO or job.local):
            self._let_wait(product, job, fresh, wire)
            return
        if job is not None:
            self.end(product, A.CANCELLED, Code.SUPERSEDED if fresh else Code.CANCELLED_BY)
        if fresh is not None:
            self._begin(product, fresh)

    def given_go(self, wire: stream_pb2.Go) -> None:
        """Keep a Go in memory if it answers the latest ask."""
        ask, job = self.ask, self.products[wire.product].job if wire.product in self.products else None
        if ask is None or job is None or (ask.product, ask.number) != (wire.product, wire.ask):
            return
        if job.generation == wire.generation and job.stage is A.STAGED and not self.suspended:
            ask.go = True

    def refused_go(self, wire: stream_pb2.NoGo, now: float) -> None:
        """Give the lock back, and ask later."""
        if self.ask is not None and (self.ask.product, self.ask.number) == (wire.product, wire.ask):
            self.ask = None
            self.products[wire.product].ask_at = now + wire.retry_after.ToTimedelta().total_seconds()

    def ask_again(self, wire: stream_pb2.AskAgain) -> None:
        """Ask at once; that ask voids what an older one brings."""
        product = self.products.get(wire.product)
        if product is not None and product.job is not None and product.job.generation == wire.generation:
            product.ask_at = 0.0
            if self.ask is not None and self.ask.product == wire.product and not self.ask.go:
                self.ask = None

    def promote(self, wire: stream_pb2.Promote) -> None:
        """Keep what is on trial, if it is this very attempt and digest."""
        job = self.products[wire.product].job if wire.product in self.products else None
        if job is None or job.stage is not A.TRIAL:
            return
        wanted = (wire.generation, wire.local_number, wire.sha256.hex())
        if (job.generation, job.local, digest(wire.product, job.version, self.arch)) == wanted:
            job.promoted = True

    def switch(self, scopes: set[str]) -> None:
        """Hear which kill switches are pressed: before Go everything ends, after it what has not switched goes back."""
        self.suspended = scopes
        if not scopes:
            return
        for product in self.products.values():
            if product.behind is not None:
                self._end_behind(product, Code.KILLED)
            job = product.job
            if job is None or job.local:
                continue
            if job.stage in BEFORE_GO:
                self.end(product, A.CANCELLED, Code.KILLED)
            elif job.stage is A.APPLYING and job.stop is None:
                job.stop = Code.KILLED

    # What it does.

    def apply(self, product: Product, job: Job, now: float) -> None:
        """Begin: nothing leads back from here but a result."""
        ask, self.ask = self.ask, None
        if ask is None or not ask.go or ask.product != product.name or not job_may_begin(product, job, ask, now):
            raise HostError(f"{self.name} applies {product.name} {job.generation} without Go")
        self._past_go(product, job)

    def apply_without_go(self, product: Product, job: Job) -> None:
        """Begin what a database has forgotten that it granted: the server finds the host past Go."""
        self._past_go(product, job)

    def _past_go(self, product: Product, job: Job) -> None:
        key = (product.name, job.generation)
        if key in self.begun:
            raise HostError(f"{self.name} begins {key} a second time")
        if product.version == job.version:
            raise HostError(f"{self.name} applies {product.name} {job.version}, which runs there")
        self.begun.add(key)
        self.applied += 1
        job.stage = A.APPLYING
        self.say(product, job, A.APPLYING, step="switch")

    def end(self, product: Product, state: AttemptState, code: Code | None = None, *, unproven: bool = False) -> None:
        """End what is going on, and begin what has waited for that."""
        job, product.job = product.job, None
        if job is None:
            raise HostError(f"{self.name} ends nothing of {product.name}")
        if self.ask is not None and self.ask.product == product.name:
            self.ask = None
        tried = job.stage in {A.TRIAL, A.SOAKING}
        if state is A.SUCCEEDED:
            product.previous, product.version, product.kept = product.version, job.version, job.generation
            product.healthy = True
        elif tried and product.name == AGENT:
            product.version = product.previous
        if state is A.ROLLBACK_FAILED:
            product.healthy = False
        running = product.version if state not in {A.FAILED, A.SKIPPED} or job.stage not in BEFORE_GO else ""
        self.say(product, job, state, code, unproven=unproven, running_version=running)
        behind, product.behind = product.behind, None
        if behind is not None:
            self._begin(product, behind)

    # Inside.

    def _shown(self, product: Product, job: Job) -> Said:
        if job is product.behind:
            return self._word(product, job, A.OFFERED, None)
        return self._word(product, job, job.stage, job.note if job.stage in BEFORE_GO else None)

    def _word(self, product: Product, job: Job, state: AttemptState, code: Code | None, **facts: object) -> Said:
        limit = timedelta(seconds=LEASE_SECONDS) if state is A.TRIAL else None
        words: dict[str, object] = {"time_limit": limit, "sha256": digest(product.name, job.version, self.arch)}
        return Said(product.name, job.generation, state, code, local=job.local, **(words | facts))  # type: ignore[arg-type]

    def _said_of(self, product: Product) -> ProductSaid:
        return ProductSaid(
            product=product.name,
            version=product.version,
            sha256=digest(product.name, product.version, self.arch),
            previous_version=product.previous,
            on_trial=product.on_trial,
            healthy=product.healthy,
            note="",
            highest_generation=product.highest,
        )

    def _begin(self, product: Product, job: Job) -> None:
        """Take it; what runs already needs nothing."""
        product.job, product.ask_at = job, 0.0
        self.say(product, job, A.OFFERED)
        if self.suspended:
            self.end(product, A.CANCELLED, Code.KILLED)
        elif product.version == job.version and product.healthy:
            self.end(product, A.CANCELLED, Code.ALREADY_AT_TARGET)
        else:
            self.say(product, job, A.DOWNLOADING)

    def _let_wait(self, product: Product, job: Job, fresh: Job | None, wire: stream_pb2.Assignment) -> None:
        if product.behind is not None:
            self._end_behind(product, Code.SUPERSEDED)
        if fresh is not None and self.suspended:
            self.say(product, fresh, A.CANCELLED, Code.KILLED)
        elif fresh is not None:
            product.behind = fresh
            self.say(product, fresh, A.OFFERED)
        if wire.stop_before_switch and job.stage is A.APPLYING and not job.local and job.stop is None:
            job.stop = Code.CANCELLED_BY

    def _end_behind(self, product: Product, code: Code) -> None:
        behind, product.behind = product.behind, None
        if behind is not None:
            self.say(product, behind, A.CANCELLED, code)

    def _say_again(self, product: Product, generation: int) -> None:
        job = product.job
        if job is not None and job.generation == generation and not job.local:
            self.say(product, job, job.stage, job.note)


def job_may_begin(product: Product, job: Job, ask: Ask, now: float) -> bool:
    """Tell whether a Go is good still."""
    return job.stage is A.STAGED and not product.held and 0 <= now - ask.sent_at < GO_SECONDS


def asked(host: Host, product: Product, job: Job, ask: Ask) -> Asked:
    """Return a wish for Go as it is sent."""
    return Asked(product.name, job.generation, ask.number, digest(product.name, job.version, host.arch))
