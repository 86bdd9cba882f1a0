"""What most tests of the registry begin with."""

import pytest
import stage

from core.domain.records import Model
from core.registry.work import Registry


@pytest.fixture
def desk(registry: Registry) -> Model:
    """The model `desk` on the ready base model `tiny`."""
    stage.ready_base(registry)
    return stage.new_model(registry)
