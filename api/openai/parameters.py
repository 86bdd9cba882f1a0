"""Fields of OpenAI's schema that nothing here answers: taken with a value that asks for nothing, refused by name else."""

import json
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Only:
    """The type of a field that may be null or one of ``neutral``, each of which asks for nothing.

    ::

        tools: Annotated[Any, Only([])] = None
    """

    def __init__(self, *neutral: Any) -> None:
        self._neutral = neutral

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how pydantic checks it."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return how OpenAPI shows it."""
        distinct = [each for n, each in enumerate(self._neutral) if each not in self._neutral[:n]]
        return {"enum": [None, *distinct], "description": "Not offered here."}

    def _checked(self, value: Any) -> Any:
        if value is None or any(type(value) is type(each) and value == each for each in self._neutral):
            return value
        # 0 and 0.0 are one number to whoever reads this.
        spelled = " or ".join(dict.fromkeys(json.dumps(each).removesuffix(".0") for each in self._neutral))
        raise ValueError(f"is not offered here: leave it out{f', or give {spelled}' if spelled else ''}")


class OrAuto:
    """The type of a field that may be left to the service, by the word ``auto`` or by leaving it out.

    ::

        n_epochs: Annotated[int | None, Field(ge=1), OrAuto()] = None
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return how pydantic checks it."""
        return core_schema.no_info_before_validator_function(
            lambda value: None if value == "auto" else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return how OpenAPI shows it."""
        return {"anyOf": [{"const": "auto"}, handler(schema)]}


Nothing = Annotated[Any, Only()]
NoItems = Annotated[Any, Only([])]
NoEntries = Annotated[Any, Only({})]
NoPenalty = Annotated[Any, Only(0, 0.0)]

NO_EFFECT: Final = "Accepted, and changes nothing here."
Label = Annotated[str | None, Field(max_length=512, description=NO_EFFECT)]
Flag = Annotated[bool | None, Field(description=NO_EFFECT)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
IgnoredMetadata = Annotated[Metadata | None, Field(description=NO_EFFECT)]
