"""A peer to compare with: FastAPI, one route, one inserted row, one commit.

python -m benchmarks.service.bare PORT DATABASE_URL
"""

import sys

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, insert

from core.domain.identifiers import new_id
from core.registry.work import Registry

METADATA = MetaData()
ROW = Table("row", METADATA, Column("id", String(64), primary_key=True), Column("body", Text), Column("n", Integer))


def create_app(registry: Registry) -> FastAPI:
    """Return the peer; it makes its table."""
    with registry.write() as work:
        METADATA.create_all(work.connection)
    app = FastAPI()

    @app.get("/healthz")
    def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/rows", status_code=202)
    def post(body: dict[str, str]) -> dict[str, str]:
        row_id = new_id("row")
        with registry.write() as work:
            work.connection.execute(insert(ROW).values(id=row_id, body=str(body), n=1))
        return {"id": row_id}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(Registry(sys.argv[2])), port=int(sys.argv[1]), log_level="warning", http="h11")
