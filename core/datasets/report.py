"""What validation found out about a file."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from core.datasets.containers.container import Container
from core.domain.errors import InvalidError, Place

MAX_ERRORS: Final = 20


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LineError(_Frozen):
    """What is wrong on one line (in Parquet: in one row), counted from 1; None for a fault of the file as a whole."""

    line: int | None
    message: str
    hint: str | None = None


class ValidationReport(_Frozen):
    """The answer of a validator.

    Attributes:
        container: what holds the rows.
        format: the format found; None when no row told.
        n_rows: rows without errors.
        columns: every column met, the format's own first.
        labels: the classes met, sorted; None for a format without classes.
        warnings: what is odd but allowed.
        errors: the first `MAX_ERRORS` faults; the file is accepted only when there is none.
        sha256: of the file's bytes, in hex.
        file_name: as whoever sent it called it, if they did.
    """

    container: Container
    format: str | None
    n_rows: int
    columns: tuple[str, ...]
    labels: tuple[str, ...] | None
    warnings: tuple[str, ...]
    errors: tuple[LineError, ...]
    sha256: str
    size_bytes: int
    file_name: str | None = None

    def accepted(self, *, part: str) -> Self:
        """Return the report itself if the file may be used.

        Args:
            part: the request's part that held the file, named in the error's places.

        Raises:
            InvalidError: the file has errors; the places carry the line numbers.
        """
        if not self.errors:
            return self
        places = [Place(loc=(part,), line=each.line, message=each.message, hint=each.hint) for each in self.errors]
        more = "at least " if len(places) == MAX_ERRORS else ""
        noun = "error" if len(places) == 1 else "errors"
        raise InvalidError(f"the file has {more}{len(places)} {noun}", code="invalid_dataset", places=places)
