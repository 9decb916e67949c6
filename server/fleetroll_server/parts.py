"""The one list of what a server consists of: servicers, and services that run beside the requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fleetroll.v1 import (
    agent_stream_pb2_grpc,
    agents_pb2_grpc,
    anchors_pb2_grpc,
    enrolment_pb2_grpc,
    events_pb2_grpc,
    keys_pb2_grpc,
    policy_pb2_grpc,
    recovery_pb2_grpc,
    releases_pb2_grpc,
    repository_pb2_grpc,
    rollouts_pb2_grpc,
    server_info_pb2_grpc,
    tokens_pb2_grpc,
)
from fleetroll_server.anchoring.watch import CertificateWatch
from fleetroll_server.catalogue.catalogue import Freshness
from fleetroll_server.engine.engine import Engine
from fleetroll_server.engine.probing.prober import Prober
from fleetroll_server.events.hub import Hub
from fleetroll_server.gateway.gateway import Gateway
from fleetroll_server.gateway.servicer import AgentStreamServicer
from fleetroll_server.observe.keywatch import KeyWatch
from fleetroll_server.observe.lease import ServerLease
from fleetroll_server.observe.rootkeys import RootKeyWatch
from fleetroll_server.recovery.watch import RecoveryWatch
from fleetroll_server.rpc.agents import AgentsServicer
from fleetroll_server.rpc.anchors import AnchorsServicer
from fleetroll_server.rpc.enrolment import EnrolmentServicer
from fleetroll_server.rpc.events import EventsServicer
from fleetroll_server.rpc.keys import KeysServicer
from fleetroll_server.rpc.policy import PolicyServicer
from fleetroll_server.rpc.recovery import RecoveryServicer
from fleetroll_server.rpc.releases import ReleasesServicer
from fleetroll_server.rpc.repository import RepositoryServicer
from fleetroll_server.rpc.rollouts import RolloutsServicer
from fleetroll_server.rpc.server_info import ServerInfoServicer
from fleetroll_server.rpc.tokens import TokensServicer
from fleetroll_server.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import grpc

    from fleetroll_server.gateway.registry import SessionRegistry
    from fleetroll_server.services import BackgroundService, Services

    Registration = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in one process.

    Attributes:
        registrations: each adds one servicer to the server.
        background: started in this order before the port opens to calls; drained and stopped in reverse.
    """

    registrations: Sequence[Registration]
    background: Sequence[BackgroundService]


def assemble(services: Services, registry: SessionRegistry) -> Parts:
    """Build every part around ``services``. ``registry`` is what ``services.sessions`` is, as the gateway sees it."""
    engine = Engine(services)
    gateway = Gateway(services, registry, engine)
    hub = Hub(services.store, services.clock)
    settings = services.settings
    return Parts(
        registrations=(
            _adding(server_info_pb2_grpc.add_ServerInfoServiceServicer_to_server, ServerInfoServicer(services)),
            _adding(enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server, EnrolmentServicer(services)),
            _adding(tokens_pb2_grpc.add_TokensServiceServicer_to_server, TokensServicer(services)),
            _adding(agents_pb2_grpc.add_AgentsServiceServicer_to_server, AgentsServicer(services)),
            _adding(releases_pb2_grpc.add_ReleasesServiceServicer_to_server, ReleasesServicer(services)),
            _adding(repository_pb2_grpc.add_RepositoryServiceServicer_to_server, RepositoryServicer(services)),
            _adding(keys_pb2_grpc.add_KeysServiceServicer_to_server, KeysServicer(services)),
            _adding(rollouts_pb2_grpc.add_RolloutsServiceServicer_to_server, RolloutsServicer(services)),
            _adding(policy_pb2_grpc.add_PolicyServiceServicer_to_server, PolicyServicer(services)),
            _adding(agent_stream_pb2_grpc.add_AgentStreamServiceServicer_to_server, AgentStreamServicer(gateway)),
            _adding(anchors_pb2_grpc.add_AnchorsServiceServicer_to_server, AnchorsServicer(services)),
            _adding(recovery_pb2_grpc.add_RecoveryServiceServicer_to_server, RecoveryServicer(services)),
            _adding(events_pb2_grpc.add_EventsServiceServicer_to_server, EventsServicer(services, hub)),
        ),
        background=(
            ServerLease(services),
            RecoveryWatch(services),
            Freshness(services),
            CertificateWatch(services),
            RootKeyWatch(settings.root_keys),
            KeyWatch(services),
            Retention(services.store, timedelta(days=settings.report_days), timedelta(days=settings.event_days)),
            hub,
            engine,
            Prober(services),
            gateway,
        ),
    )


def _adding(add: Callable[[Any, grpc.aio.Server], None], servicer: object) -> Registration:
    """Bind a servicer to the generated function that adds it."""
    return lambda server: add(servicer, server)
