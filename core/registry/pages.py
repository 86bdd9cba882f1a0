"""Lists by cursor: rows in the order of their ids, which is the order of their creation."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from sqlalchemy import Column, RowMapping, Select

from core.domain.errors import InvalidError
from core.domain.records import Page
from core.registry.work import Work

Order = Literal["asc", "desc"]
T = TypeVar("T")
