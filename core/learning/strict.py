"""What every setting from outside is made of."""

from pydantic import BaseModel, ConfigDict, JsonValue

Settings = dict[str, JsonValue]


class Strict(BaseModel):
    """Base of everything that comes from outside: immutable, no unknown fields, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
