"""The tables. What a resource says is in `resources.body`; what must be unique is in `claims`.

* `resources`: every resource as JSON, by kind and id.
* `claims`: (scope, value) -> who holds it. Its primary key is what decides addresses, MACs and segmentation ids.
* `journal`: which resources each revision touched, written in the revision's own transaction.
* `heartbeats`: when each host last reported. Not part of any revision.
* `meta`: `epoch`, the identity of this database.
"""

from typing import Final

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text

METADATA: Final = MetaData()

HEAD: Final = "0001"
"""The newest of `migrations/versions`. A change of these tables is a new file there."""

RESOURCES: Final = Table(
    "resources",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

CLAIMS: Final = Table(
    "claims",
    METADATA,
    Column("scope", String(255), primary_key=True),
    Column("value", String(255), primary_key=True),
    Column("holder", String(255), nullable=False),
    sqlite_with_rowid=False,
)

JOURNAL: Final = Table(
    "journal",
    METADATA,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), primary_key=True),
    Column("id", String(255), primary_key=True),
    sqlite_with_rowid=False,
)

HEARTBEATS: Final = Table(
    "heartbeats",
    METADATA,
    Column("host", String(255), primary_key=True),
    Column("at", Float, nullable=False),
)

META: Final = Table(
    "meta",
    METADATA,
    Column("key", String(32), primary_key=True),
    Column("value", String(255), nullable=False),
)
