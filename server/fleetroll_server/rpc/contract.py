"""Every service of the contract: what reflection shows, and whose methods must declare who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll.v1 import (
    agent_stream_pb2,
    agents_pb2,
    anchors_pb2,
    enrolment_pb2,
    events_pb2,
    keys_pb2,
    policy_pb2,
    recovery_pb2,
    releases_pb2,
    repository_pb2,
    rollouts_pb2,
    server_info_pb2,
    tokens_pb2,
)

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor

_FILES = (
    agent_stream_pb2,
    agents_pb2,
    anchors_pb2,
    enrolment_pb2,
    events_pb2,
    keys_pb2,
    policy_pb2,
    recovery_pb2,
    releases_pb2,
    repository_pb2,
    rollouts_pb2,
    server_info_pb2,
    tokens_pb2,
)

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()
)
