"""The tables around the service's own things: who may come in, what was already answered, and what was counted."""

from typing import Final

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Double, Index, Integer, String, Table, Text

from core.registry.columns import id_column, project_column
from core.registry.export_tables import EXPORT

API_KEY: Final = Table(
    "api_key",
    EXPORT.metadata,
    id_column(),
    project_column(),
    Column("name", String(64), nullable=False),
    # The key itself is shown once and kept nowhere; it is random enough that a plain hash cannot be reversed.
    Column("sha256", String(64), nullable=False, unique=True),
    # Its first characters, by which people tell keys apart.
    Column("hint", String(16), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("last_used_ms", BigInteger),
    CheckConstraint("length(sha256) = 64", name="sha256_whole"),
)

IDEMPOTENCY: Final = Table(
    "idempotency",
    EXPORT.metadata,
    project_column(primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("route", String(255), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    # Null within the transaction that makes the change; nobody else ever sees it so.
    Column("status", Integer),
    Column("headers", JSON(none_as_null=True)),
    Column("body", Text),
    Column("created_ms", BigInteger, nullable=False),
    CheckConstraint("length(request_sha256) = 64", name="request_sha256_whole"),
    CheckConstraint("(status IS NULL) = (body IS NULL)", name="answered_whole"),
    Index("idempotency_age", "created_ms"),
)

TALLY: Final = Table(
    "tally",
    EXPORT.metadata,
    Column("name", String(64), primary_key=True),
    # A JSON list: the values of the name's labels, of which there are few.
    Column("labels", String(255), primary_key=True),
    # Whose share of the count it is: see `core.registry.tallies`.
    Column("share", Integer, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
)
