"""What a model's methods may do with users' data."""

from pydantic import BaseModel, ConfigDict, Field


class ModelPolicy(BaseModel):
    """Chosen when the model is created."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store_rows: bool = Field(
        default=False,
        description="Whether methods may keep rows of task files in the model's versions, as replay does.",
    )
