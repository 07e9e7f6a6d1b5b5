"""Brings a database to the schema that this version speaks. Changes are additive: versions may run side by side."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from warren.core.errors import Unmet
from warren.server.store.schema import HEAD

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def upgrade(connection: Connection) -> None:
    """Make the changes that are missing, in the transaction that the connection is in.

    Raises:
        Unmet: the database was made by a newer version.
    """
    present = _present(connection)
    if present == HEAD:
        return
    if present is not None and present > HEAD:
        raise Unmet(f"the database has schema {present}, newer than this version's {HEAD}; install the newer Warren")
    # Imported here: most starts find nothing to change, and need not wait for Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)
