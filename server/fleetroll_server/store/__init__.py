"""Where the server keeps its truth: tables, the one writer with its three lanes, reads, migrations."""

from fleetroll_server.store.database import Store
from fleetroll_server.store.tx import EventFact, Tx
from fleetroll_server.store.writer import Writer

__all__ = ["EventFact", "Store", "Tx", "Writer"]
