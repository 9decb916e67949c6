"""The admin's side of the contract: how to reach a server, its services as typed stubs, its errors as typed errors."""

from fleetroll_client.connection import AdminClient, Endpoint
from fleetroll_client.errors import ServerRefusedError, translate

__all__ = ["AdminClient", "Endpoint", "ServerRefusedError", "translate"]
