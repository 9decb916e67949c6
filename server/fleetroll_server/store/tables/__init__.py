"""The tables, by topic. A row without a fleet (metadata, releases, counters) belongs to the whole installation."""

from fleetroll_server.store.tables.base import CounterRow, EventRow, FleetRow, MetaRow, SuspensionRow
from fleetroll_server.store.tables.catalogue import ArtifactRow, MetadataFileRow, ReleaseRow
from fleetroll_server.store.tables.identity import (
    AgentRow,
    ApiTokenRow,
    EnrolmentRow,
    JoinTokenRow,
    RetiredKeyRow,
    ServerRow,
    SpellRow,
)
from fleetroll_server.store.tables.policy import PolicyChangeRow, PolicyRow
from fleetroll_server.store.tables.recovery import BarredAgentRow, ImportedAttemptRow
from fleetroll_server.store.tables.rollouts import (
    AssignmentRow,
    AttemptHistoryRow,
    BudgetRow,
    ChargeRow,
    CheckRow,
    ClaimRow,
    ExclusionsRow,
    HostProductRow,
    LocalAttemptRow,
    ReportRow,
    RolloutHostRow,
    RolloutRow,
    WaveRow,
)
from fleetroll_server.store.tables.types import TableModel, table_of

__all__ = [
    "AgentRow",
    "ApiTokenRow",
    "ArtifactRow",
    "AssignmentRow",
    "AttemptHistoryRow",
    "BarredAgentRow",
    "BudgetRow",
    "ChargeRow",
    "CheckRow",
    "ClaimRow",
    "CounterRow",
    "EnrolmentRow",
    "EventRow",
    "ExclusionsRow",
    "FleetRow",
    "HostProductRow",
    "ImportedAttemptRow",
    "JoinTokenRow",
    "LocalAttemptRow",
    "MetaRow",
    "MetadataFileRow",
    "PolicyChangeRow",
    "PolicyRow",
    "ReleaseRow",
    "ReportRow",
    "RetiredKeyRow",
    "RolloutHostRow",
    "RolloutRow",
    "ServerRow",
    "SpellRow",
    "SuspensionRow",
    "TableModel",
    "WaveRow",
    "table_of",
]
