"""What every answer of the service has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """Root of every result: immutable, tolerant of what a newer service adds."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values, with unknown fields."""
        return self.model_dump(mode="json")
