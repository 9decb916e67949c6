"""Whether a fake server keeps what is on trial: by the real rule, from what the newest hello says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetroll_server.domain.promote import TrialFacts, may_promote
from fleetroll_server.domain.states import AttemptState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fleetroll.v1 import agent_stream_pb2 as stream_pb2


def is_due(
    hello: stream_pb2.HelloPayload, assignments: Mapping[str, stream_pb2.Assignment], generation: int, sha256: bytes
) -> bool:
    """Tell whether a trial of ``generation``, of the artefact ``sha256``, is promoted."""
    (running,) = (product for product in hello.products if product.product == "agent")
    wanted = assignments.get("agent")
    known = wanted is not None and wanted.generation == generation
    return may_promote(
        TrialFacts(
            state=AttemptState.TRIAL,
            recalled=False,
            wanted_version=wanted.version if known else running.version,
            wanted_sha256=sha256.hex(),
            running_version=running.version,
            calls_itself=hello.agent_version,
            running_sha256=running.sha256.hex(),
            on_trial=running.on_trial,
        )
    )
