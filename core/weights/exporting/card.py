"""The model card of an export: `README.md` with the front matter that model hubs read."""

import json
from collections.abc import Iterator
from typing import Any, Final

from core.domain.export_spec import Card, CardTask, ExportSpec
from core.domain.exports import ExportDtype, ExportFormat, Parity

_OPENS: Final = {
    ExportFormat.DELTA: (
        "The folder holds each task's update (`versions/<number>/delta.safetensors`) and what the model's registry knew "
        "of it. `python -m api.lineages import FOLDER --name NAME` makes a model of it in another installation of "
        "Strata that has the same base model; `sha256sum -c SHA256SUMS` checks the files."
    ),
    ExportFormat.ADAPTER: (
        "```python\n"
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM\n\n"
        'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("BASE"), "FOLDER")\n'
        "```\n\n"
        "`BASE` is the base model named above, `FOLDER` this one. (A model that encodes a source and decodes a target "
        "is opened by `AutoModelForSeq2SeqLM`.)"
    ),
    ExportFormat.MERGED: (
        "```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("FOLDER")\n'
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
        "```\n\n"
        "(A model that encodes a source and decodes a target is opened by `AutoModelForSeq2SeqLM`.)"
    ),
    ExportFormat.GGUF: (
        "```sh\n"
        "llama-cli -m model.gguf -p 'Hello'\n"
        "```\n\n"
        "```python\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'model = AutoModelForCausalLM.from_pretrained("FOLDER", gguf_file="model.gguf")\n'
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER", gguf_file="model.gguf")\n'
        "```"
    ),
}
_LIBRARY: Final = {ExportFormat.ADAPTER: "peft", ExportFormat.MERGED: "transformers", ExportFormat.GGUF: "gguf"}
_NUMBERS: Final = {
    ExportDtype.STORED: "as the base model's are stored",
    ExportDtype.F32: "floats of 32 bits",
    ExportDtype.F16: "floats of 16 bits; vectors, such as those of norms, of 32",
}


def text(spec: ExportSpec, proof: Parity) -> str:
    """Return the card of an export that was proven to be its version."""
    parts = (_front_matter(spec), *_body(spec, proof))
    return "\n".join(parts).rstrip() + "\n"


def _front_matter(spec: ExportSpec) -> str:
    """Return the part for machines: YAML whose values are JSON, which YAML contains."""
    card = spec.card
    known: dict[str, Any] = {
        "base_model": _source(card) or card.base_name,
        "license": card.base_licence or "unknown",
        "library_name": _LIBRARY.get(spec.format),
        "tags": ["strata", "continual-learning", spec.format.value],
        "model-index": [{"name": card.version, "results": _results(card)}] if _results(card) else None,
    }
    lines = [f"{name}: {_json(value)}" for name, value in known.items() if value is not None]
    return "\n".join(["---", *lines, "---", ""])


def _results(card: Card) -> list[dict[str, Any]]:
    return [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": f"{task.name} (held-out rows)", "type": task.name},
            "metrics": [{"type": each.metric, "value": each.value, "name": each.metric} for each in task.scores],
        }
        for task in card.tasks
        if task.scores
    ]


def _body(spec: ExportSpec, proof: Parity) -> Iterator[str]:
    card = spec.card
    yield f"# {card.version}\n"
    yield f"A version of the model `{card.model}`, made {card.made_at} by continual fine-tuning with Strata: {_made(card)}\n"
    yield "## Base model\n"
    yield f"- {card.base_name}, a {card.architecture}" + (f", from `{card.base_source}`" if card.base_source else "")
    yield f"- SHA-256 digest of its tensors: `{card.base_digest}`"
    yield f"- licence, as its maker states it: {card.base_licence or 'not recorded'}\n"
    yield "## Tasks\n"
    yield from _tasks(card)
    yield "## How to open it\n"
    yield _OPENS[spec.format] + "\n"
    yield f"Weights: {_NUMBERS[spec.dtype]}.\n"
    yield "## Proof\n"
    yield from _proof(proof)


def _made(card: Card) -> str:
    if not card.tasks:
        return "it has learned no task, and is its base model."
    left_out = f" Taken out again: {', '.join(card.left_out)}." if card.left_out else ""
    return f"the base model and the updates of {len(card.tasks)} tasks, added in their order.{left_out}"


def _tasks(card: Card) -> Iterator[str]:
    if not card.tasks:
        yield "None.\n"
        return
    yield "| task | learned in | method | rows | density of its update | score on held-out rows |"
    yield "|---|---|---|---|---|---|"
    for task, density in zip(card.tasks, card.densities, strict=True):
        share = "unknown" if density is None else f"{density:.4%}"
        yield f"| {task.name} | {task.learned_in} | {task.method or 'default'} | {task.n_rows} | {share} | {_scores(task)} |"
    if card.perplexity is not None and card.base_perplexity is not None:
        yield (
            f"\nPerplexity of the general text that comes with Strata: {card.perplexity:.2f}; "
            f"of the base model: {card.base_perplexity:.2f}."
        )
    yield "\nThe licences of the rows that were learned are not recorded.\n"


def _scores(task: CardTask) -> str:
    return "; ".join(
        f"{each.metric} {each.value:.3f}"
        + (f" [{each.low:.3f}, {each.high:.3f}]" if each.low is not None and each.high is not None else "")
        + f" on {each.n_rows} rows"
        for each in task.scores
    )


def _proof(proof: Parity) -> Iterator[str]:
    by = ", ".join(f"{name} {version}" for name, version in sorted(proof.opened_by.items()))
    yield (
        f"These files were opened by {by} and asked {len(proof.prompts)} prompts (`parity.json`). Of all logits, at every "
        f"position, the largest difference from the version's own is {proof.max_abs_difference:.3g}, where "
        f"{proof.tolerance:.3g} is allowed and the largest logit is {proof.largest_logit:.3g}."
    )
    if proof.same_tensors:
        yield f"The tensors are those of the version, bit for bit: their digest is `{proof.version_digest}`."
    yield "\n`manifest.json` and `SHA256SUMS` list every file with its hash."


def _source(card: Card) -> str | None:
    """Return the base model as a hub names it, if it is from one."""
    kind, _, rest = (card.base_source or "").partition(":")
    return rest.partition("@")[0] if kind == "hub" else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
