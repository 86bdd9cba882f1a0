"""The closed list of error codes: what each means and which HTTP status says it (docs/reference/errors.md)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """One error code.

    Attributes:
        status: the HTTP status of every answer with this code.
        meaning: one line for people, the `title` of the problem.
    """

    status: int
    meaning: str


CODES: Final[dict[str, Code]] = {
    # The request could not be read.
    "malformed_request": Code(400, "The request could not be read"),
    "malformed_json": Code(400, "The JSON could not be read"),
    "malformed_multipart": Code(400, "The multipart body could not be read"),
    "invalid_idempotency_key": Code(400, "The Idempotency-Key is not one"),
    "foreign_host": Code(400, "The Host header does not name this machine"),
    "unauthorized": Code(401, "There is no key, or one that opens nothing"),
    "missing_scope": Code(403, "The key does not open this"),
    "foreign_origin": Code(403, "Calls from other web sites are refused"),
    "method_not_allowed": Code(405, "The path does not know this method"),
    "request_timeout": Code(408, "The request took too long to arrive"),
    "too_large": Code(413, "The request is over a stated limit"),
    "uri_too_long": Code(414, "The address is too long"),
    "range_not_satisfiable": Code(416, "The file has no such bytes"),
    "unsupported_media_type": Code(415, "The content type or encoding is not one this path reads"),
    "headers_too_large": Code(431, "The headers are too long"),
    "unknown_transfer_encoding": Code(501, "The transfer encoding is not known here"),
    "http_version_not_supported": Code(505, "The version of HTTP is not spoken here"),
    # The content cannot be accepted.
    "invalid_request": Code(422, "The request cannot be accepted"),
    "invalid_text": Code(422, "A text holds characters that cannot be stored"),
    "invalid_name": Code(422, "The name is not a valid name"),
    "invalid_method": Code(422, "The method cannot be used"),
    "invalid_source": Code(422, "The base model's source is not one of the known kinds"),
    "invalid_dataset": Code(422, "The file has errors"),
    "idempotency_key_reused": Code(422, "The Idempotency-Key belongs to another request"),
    "invalid_input": Code(422, "The input does not fit the task's template"),
    "context_length_exceeded": Code(422, "The prompt does not fit the model's context"),
    "unsupported_export": Code(422, "The version cannot be written in this format"),
    "exceeds_engine_memory": Code(422, "Prompt and answer together need more memory than the engine has for answers"),
    "invalid_messages": Code(422, "The messages do not fit the model's chat template"),
    "no_chat_template": Code(422, "The base model has no chat template: ask by prompt"),
    "leak": Code(422, "Evaluation rows are also training rows"),
    "unknown_base_model": Code(422, "There is no base model of that name"),
    # There is no such thing.
    "not_found": Code(404, "There is no such thing"),
    "alias_not_found": Code(404, "There is no such alias"),
    "base_model_not_found": Code(404, "There is no such base model"),
    "artefact_not_found": Code(404, "The version's files are not stored"),
    "blob_not_found": Code(404, "The dataset's content is not stored"),
    "dataset_not_found": Code(404, "There is no such dataset"),
    "export_not_found": Code(404, "There is no such export"),
    "job_not_found": Code(404, "There is no such job"),
    "key_not_found": Code(404, "There is no such key"),
    "model_not_found": Code(404, "There is no such model"),
    "project_not_found": Code(404, "There is no such project"),
    "task_not_found": Code(404, "There is no such task"),
    "version_not_found": Code(404, "There is no such version"),
    # The thing is in the wrong state for it.
    "conflict": Code(409, "The thing is in a state that does not allow the call"),
    "alias_required": Code(409, "Every model has this alias"),
    "base_model_failed": Code(409, "The base model could not be read"),
    "cancel_requested": Code(409, "The job was asked to stop"),
    "dataset_in_use": Code(409, "A task uses the dataset"),
    "export_not_ready": Code(409, "The export is not built"),
    "lease_lost": Code(409, "Another worker holds the job"),
    "model_busy": Code(409, "A job of the model is not over"),
    "name_taken": Code(409, "The name is taken"),
    "parent_conflict": Code(409, "The model's head is not the expected version"),
    "request_in_flight": Code(409, "A request with this Idempotency-Key is still being answered"),
    "version_in_use": Code(409, "An alias, a version or a job needs the version"),
    "wrong_kind": Code(409, "The job is of another kind"),
    "wrong_state": Code(409, "The state does not allow this move"),
    "precondition_failed": Code(412, "The thing changed since the caller looked at it"),
    # Later, or not here.
    "not_ready": Code(425, "Something that is under way must finish first"),
    "version_loading": Code(425, "The engine is still loading the version"),
    "base_model_not_ready": Code(425, "The base model has not been inspected yet"),
    "rate_limited": Code(429, "The project calls too often"),
    "too_many_open_jobs": Code(429, "The project has as many open jobs as it may"),
    "too_many_generations": Code(429, "The project has as many answers under way as it may"),
    "too_many_bytes": Code(429, "The project keeps as many bytes as it may"),
    "internal_error": Code(500, "The service failed"),
    "generation_failed": Code(503, "The engine could not compute the answer"),
    "corrupt_artefact": Code(503, "Stored bytes do not match what was published"),
    "unavailable": Code(503, "A part of the service is away"),
    "engine_busy": Code(503, "Too many requests wait for the engine"),
    "engine_unavailable": Code(503, "The engine does not answer"),
    "registry_unavailable": Code(503, "The registry does not answer"),
    "schema_behind": Code(503, "The registry's schema is of an earlier release"),
    "storage_unavailable": Code(503, "The storage does not answer, or cannot be written"),
    "deadline_exceeded": Code(504, "The answer was not complete within the request's own timeout"),
    "disk_full": Code(507, "There is no space left to store this"),
}

# Why a job failed: `error.code` of a job. The words are the trainer's exit codes, the worker's and the registry's.
JOB_CODES: Final[dict[str, str]] = {
    "base_model_not_found": "The base model's files are not where they were",
    "blob_not_found": "The dataset's content is not stored",
    "artefact_not_found": "A version of the chain is not stored",
    "corrupt_artefact": "Stored weights do not match their hashes",
    "crashed": "The trainer ended with an exit code that says nothing",
    "disk_full": "The disk of the data folder is full",
    "gate_rejected": "The gate refused to serve the version, which is kept with its report",
    "loss_diverged": "The loss became infinite or NaN, or exploded",
    "insufficient_memory": "The job is estimated to need more memory than a trainer has",
    "internal_error": "The worker could not carry out the job",
    "invalid_source": "The base model's source is not one of the known kinds",
    "invalid_spec": "The trainer could not use its spec",
    "out_of_memory": "The device ran out of memory",
    "parent_conflict": "The model's head is not, or no longer, what the job expected",
    "parity_failed": "The export, opened again, was not the version: it is not delivered",
    "poison_job": "Its workers died, or its trainer hung, again and again without a new checkpoint",
    "source_not_found": "There is no base model at the source",
    "source_unavailable": "The base model's source could not be reached",
    "timed_out": "The job ran longer than it may",
    "unsupported_base_model": "The base model is of an architecture that is not supported",
    "unsupported_export": "The version cannot be written in this format",
    "unsupported_kind": "This worker cannot execute jobs of that kind",
}

# What the HTTP library itself refuses with, in our words.
CODE_OF_STATUS: Final[dict[int, str]] = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
