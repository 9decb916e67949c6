"""Run by Alembic for each migration; the connection, inside of its transaction, comes from the store."""

from alembic import context
from sqlmodel import SQLModel

import fleetroll_server.store.tables  # noqa: F401 (registers the tables)

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
with context.begin_transaction():
    context.run_migrations()
