"""What Alembic runs: the changes that are still to be made, on the connection that the store gives it."""

from alembic import context

from warren.server.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
