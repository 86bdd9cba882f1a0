"""Fine-tuning jobs that cannot be: each is refused by name, in OpenAI's words, and leaves nothing."""

from typing import Any, Final

import pytest
from doors import Door
from openai import APIStatusError, OpenAI

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SUPERVISED: Final = {"type": "supervised"}


UNUSABLE: Final[list[tuple[dict[str, Any], str, str | None]]] = [
    ({"model": "nobody"}, "model_not_found", "model"),
    ({"model": "desk@9"}, "version_not_found", None),
    ({"model": "desk:nobody"}, "alias_not_found", None),
    ({"training_file": "file-abc123"}, "dataset_not_found", None),
    ({"validation_file": "file-abc123"}, "dataset_not_found", None),
    ({"suffix": "Not A Name"}, "invalid_name", "suffix"),
    ({"model": "tiny", "suffix": "desk"}, "name_taken", None),
    ({"suffix": "a", "strata": {"task": "b"}}, "invalid_request", "suffix"),
    ({"strata": {"task": "Not A Name"}}, "invalid_name", "strata.task"),
    ({"method": {"type": "dpo"}}, "invalid_request", "method.type"),
    ({"method": {**SUPERVISED, "dpo": {"hyperparameters": {}}}}, "invalid_request", "method.dpo"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "invalid_request", "integrations"),
    ({"hyperparameters": {"n_epochs": 0}}, "invalid_request", "hyperparameters.n_epochs"),
    ({"hyperparameters": {"learning_rate_multiplier": 1000}}, "invalid_request", "learning_rate_multiplier"),
    (
        {
            "hyperparameters": {"n_epochs": 1},
            "method": {**SUPERVISED, "supervised": {"hyperparameters": {"n_epochs": 2}}},
        },
        "invalid_request",
        "hyperparameters",
    ),
    (
        {"seed": 1, "strata": {"spec": {"training": {"seed": 2}}}},
        "invalid_request",
        "strata.spec.training.seed",
    ),
    (
        {
            "hyperparameters": {"learning_rate_multiplier": 2},
            "strata": {"spec": {"training": {"learning_rate": 0.1}}},
        },
        "invalid_request",
        "learning_rate_multiplier",
    ),
    ({"strata": {"spec": {"method": "nobody"}}}, "invalid_request", "strata.spec.method"),
    ({"unheard_of": 1}, "invalid_request", "unheard_of"),
]


@pytest.mark.parametrize(("fields", "code", "param"), UNUSABLE, ids=str)
def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(
    openai: OpenAI, desk: Door, rows: str, fields: dict[str, Any], code: str, param: str | None
) -> None:
    before = desk.contents()
    with pytest.raises(APIStatusError) as refused:
        openai.post("/fine_tuning/jobs", body={"model": "desk", "training_file": rows, **fields}, cast_to=object)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert desk.contents() == before
    assert desk.wakes.job_ids == []
