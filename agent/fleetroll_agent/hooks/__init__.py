"""Commands of products: started behind a gate, watched to their end, ended after a crash; and asking for health."""

from fleetroll_agent.hooks.backup_id import backup_id_file, read_backup_id
from fleetroll_agent.hooks.gate import Gated, spawn
from fleetroll_agent.hooks.health import probe, unit_tail
from fleetroll_agent.hooks.locks import LockAnswer, is_free
from fleetroll_agent.hooks.orphans import end_child
from fleetroll_agent.hooks.output import AttemptLog
from fleetroll_agent.hooks.run import HookResult, Manners, run_hook
from fleetroll_agent.hooks.scope import Scope, ScopeFacts, read_facts, scope_name
from fleetroll_agent.hooks.specs import CommandHealth, Health, HttpHealth, Spec, TcpHealth, UnitHealth
from fleetroll_agent.hooks.variables import HookFacts, environment

__all__ = [
    "AttemptLog",
    "CommandHealth",
    "Gated",
    "Health",
    "HookFacts",
    "HookResult",
    "HttpHealth",
    "LockAnswer",
    "Manners",
    "Scope",
    "ScopeFacts",
    "Spec",
    "TcpHealth",
    "UnitHealth",
    "backup_id_file",
    "end_child",
    "environment",
    "is_free",
    "probe",
    "read_backup_id",
    "read_facts",
    "run_hook",
    "scope_name",
    "spawn",
    "unit_tail",
]
