"""The admin's side of the contract, for programs with and without asyncio.

How to reach a server (:class:`Endpoint`, :func:`resolve`), its services as typed stubs
(:class:`AdminClient`, :class:`AsyncAdminClient`), its errors as typed errors (:func:`translate`), and what happens
there, as it happens (:func:`follow`, :func:`follow_blocking`).
"""

from fleetroll_client.connection import AdminClient, AsyncAdminClient
from fleetroll_client.course import Patience
from fleetroll_client.endpoint import Endpoint
from fleetroll_client.errors import ServerRefusedError, translate
from fleetroll_client.following import PERMANENT, follow, follow_blocking
from fleetroll_client.resolving import Resolved, Wanted, resolve
from fleetroll_client.updates import Changed, Connection, Link, Resynced, Snapshot, Update

__all__ = [
    "PERMANENT",
    "AdminClient",
    "AsyncAdminClient",
    "Changed",
    "Connection",
    "Endpoint",
    "Link",
    "Patience",
    "Resolved",
    "Resynced",
    "ServerRefusedError",
    "Snapshot",
    "Update",
    "Wanted",
    "follow",
    "follow_blocking",
    "resolve",
    "translate",
]
