"""What must be known of a base model without loading it: recorded once by an `inspect` job."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Family = Literal["causal", "seq2seq"]


class BaseFacts(BaseModel):
    """Facts of one base model.

    Attributes:
        modules: every linear module that an adapter may target, name to weight shape ``(out, in)``.
        blocks: the same names to the transformer block that holds them, in order of first appearance.
        default_targets: module suffixes that methods adapt unless told otherwise.
        context_tokens: the longest prompt and answer together.
        digest: over the tensors as stored.
        tokenizer_sha256: of the tokenizer's own JSON.
        licence: as the model's maker states it; None where nobody recorded one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family
    architecture: str
    modules: dict[str, tuple[int, int]]
    blocks: dict[str, str]
    default_targets: tuple[str, ...]
    context_tokens: int
    vocabulary: int
    parameters: int
    size_bytes: int
    digest: str
    tokenizer_sha256: str
    end_token: str
    end_token_id: int
    chat_template: str | None
    licence: str | None = None
