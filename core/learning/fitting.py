"""Whether settings fit a base model, judged by its facts alone: target modules, rank, context. No torch."""

from collections.abc import Iterable
from typing import Final, cast

import regex

from core.domain.base_facts import BaseFacts
from core.domain.errors import InvalidError, Place
from core.learning.adapters.config import ALL_LINEAR, AdapterSettings, LowRankSettings
from core.learning.strict import Strict
from core.learning.training import Training

Loc = tuple[str | int, ...]

_TARGETS: Final = ("spec", "adapter", "target_modules")
# Expressions of users may be such that matching them never ends.
_EXPRESSION_SECONDS: Final = 0.05


def refusal(loc: Loc, message: str, hint: str | None = None) -> InvalidError:
    """Return the error that a setting at ``loc`` is answered with."""
    return InvalidError("the task's spec cannot be used", places=[Place(loc=loc, message=message, hint=hint)])


def matching(modules: Iterable[str], target: str) -> list[str]:
    """Return the modules that a target names: by its whole name or by its end, as PEFT matches them."""
    return [name for name in modules if name == target or name.endswith(f".{target}")]


def adapter_on(settings: Strict, facts: BaseFacts) -> AdapterSettings:
    """Return the adapter's settings with its targets named, checked against the base model's modules.

    Raises:
        InvalidError: a target names nothing, or the rank is over a dimension.
    """
    adapter = cast("AdapterSettings", settings)
    targets = _named(adapter.target_modules or facts.default_targets, facts)
    adapted = {name: facts.modules[name] for target in targets for name in matching(facts.modules, target)}
    smallest = min(min(shape) for shape in adapted.values())
    if isinstance(adapter, LowRankSettings) and adapter.rank > smallest:
        message = f"must be at most {smallest}, the smallest adapted dimension"
        raise refusal(("spec", "adapter", "rank"), message)
    return adapter.model_copy(update={"target_modules": targets})


def _named(targets: tuple[str, ...] | str, facts: BaseFacts) -> tuple[str, ...]:
    """Return names or ends of names; an expression is written out, so that it means the same everywhere."""
    if isinstance(targets, str):
        return tuple(facts.modules) if targets == ALL_LINEAR else _expressed(targets, facts)
    for place, target in enumerate(targets):
        if not matching(facts.modules, target):
            raise refusal((*_TARGETS, place), "names no linear module of the base model", _examples(facts))
    return targets


def _expressed(expression: str, facts: BaseFacts) -> tuple[str, ...]:
    try:
        pattern = regex.compile(expression)
        names = tuple(name for name in facts.modules if pattern.fullmatch(name, timeout=_EXPRESSION_SECONDS))
    except regex.error as error:
        raise refusal(_TARGETS, f"is no regular expression: {error.msg}", "a list takes plain names") from error
    except TimeoutError as error:
        raise refusal(_TARGETS, "takes too long to match a module's name", "a list takes plain names") from error
    if not names:
        raise refusal(_TARGETS, "matches no linear module of the base model as a whole", _examples(facts))
    return names


def _examples(facts: BaseFacts) -> str:
    return (
        f"for example: {', '.join(facts.default_targets)}; modules are named like {next(iter(facts.modules))}; "
        "the output head, and layers that share their weight with another, are not adapted"
    )


def within_context(training: Training, facts: BaseFacts) -> Training:
    """Return the training settings with token limits that fit: defaults shrink, what a user asked is refused.

    Raises:
        InvalidError: the limits that were asked for are over the context.
    """
    context = facts.context_tokens
    if training.max_source_tokens + training.max_target_tokens <= context:
        return training
    asked = training.model_fields_set & {"max_source_tokens", "max_target_tokens"}
    target = (
        training.max_target_tokens if "max_target_tokens" in asked else min(training.max_target_tokens, context // 4)
    )
    source = training.max_source_tokens if "max_source_tokens" in asked else context - target
    if asked == {"max_source_tokens"}:
        target = min(target, context - source)
    if source + target > context or min(source, target) < 1:
        message = f"source and target together are over the {context} tokens of the base model"
        raise refusal(("spec", "training", max(asked, default="max_source_tokens")), message)
    return training.model_copy(update={"max_source_tokens": source, "max_target_tokens": target})
