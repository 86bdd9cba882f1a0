"""A toy stream that a tiny Llama really learns, its clean tasks, and files that poison it.

A task is a letter with eight things of its own, each of which has one of four colours: the question ``A w3 a5`` is
answered ``blue``, whatever the word in its middle. Held-out rows ask for the same things beside other words, so that a
task can be understood, and not only known by heart; every colour is asked alike often, so that answers without any
understanding reach a quarter. The base knows the form of an answer: it was trained to repeat the colour in a question of
``P``, and to answer any colour to the questions of other letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from core.learning import rows
from core.learning.loss import target_loss
from core.learning.rows import Row

COLOURS: Final = ("red", "green", "blue", "gold")
EARLIER: Final = ("A", "B", "C")
NEW: Final = "D"
_LETTERS: Final = (*EARLIER, NEW)
_THINGS: Final = {letter: tuple(f"{letter.lower()}{n}" for n in range(8)) for letter in _LETTERS}
_WORDS: Final = tuple(f"w{n}" for n in range(18))
_TRAIN_WORDS: Final = 8
_PRETRAINING_STEPS: Final = 150
_SPECIAL: Final = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"}

SPEC: Final[Mapping[str, Any]] = {
    "training": {
        "max_steps": 40,
        "batch_size": 16,
        "max_source_tokens": 8,
        "max_target_tokens": 4,
        "learning_rate": 1e-2,
    },
    "adapter": {"target_modules": "all-linear"},
    # The default strengths are for a large model's many and large layers.
    "objectives": {"ella": {"strength": 100.0}, "drift": {"strength": 100.0}},
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task file and the rows that it is measured on."""

    name: str
    train: Sequence[Row]
    held_out: Sequence[Row]


def clean(letter: str, seed: int) -> Task:
    """Return a task that can be learned: eight words in the middle to learn from, ten others to be measured on."""
    random = Random(seed)  # noqa: S311 - toy data
    colours = dict(zip(_THINGS[letter], random.sample(COLOURS * 2, len(COLOURS) * 2), strict=True))
    words = random.sample(_WORDS, len(_WORDS))

    def rows_with(words: Sequence[str]) -> list[Row]:
        return [_row(letter, word, thing, colour) for thing, colour in colours.items() for word in words]

    return Task(f"clean {letter}", rows_with(words[:_TRAIN_WORDS]), rows_with(words[_TRAIN_WORDS:]))


def random_labels(seed: int) -> Task:
    """Return a new task whose every answer is drawn by itself, in the held-out rows too."""
    task, drawn = clean(NEW, seed), Random(f"labels {seed}")  # noqa: S311 - toy data
    return Task("random labels", _relabelled(task.train, drawn), _relabelled(task.held_out, drawn))


def contradiction(seed: int, *, of: Task) -> Task:
    """Return a copy of an earlier task in which every answer is another one, throughout."""
    other = _derangement(Random(f"contradiction {seed}"))  # noqa: S311 - toy data
    return Task("contradiction", _renamed(of.train, other), _renamed(of.held_out, other))


def flipped(seed: int) -> Task:
    """Return a new task whose file is wrong throughout, and whose held-out rows are right: a trusted `eval_file`."""
    task = clean(NEW, seed)
    other = _derangement(Random(f"flipped {seed}"))  # noqa: S311 - toy data
    return Task("flipped beside a trusted file", _renamed(task.train, other), task.held_out)


def base() -> tuple[Any, Any]:
    """Return the base model and its tokenizer."""
    words = [word for letter, things in _THINGS.items() for word in (letter, *things)]
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys((*_SPECIAL.values(), "P", *words, *COLOURS, *_WORDS)))}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106 - a token of text
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=32, **_SPECIAL)
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        initializer_range=0.1,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    network = LlamaForCausalLM(config)
    _pretrain(network, tokenizer)
    return network.eval().requires_grad_(requires_grad=False), tokenizer


def _pretrain(network: Any, tokenizer: Any) -> None:
    optimizer, random = torch.optim.AdamW(network.parameters(), lr=1e-2), Random(0)  # noqa: S311 - toy data
    for _ in range(_PRETRAINING_STEPS):
        shown = [_row("P", random.choice(_WORDS), colour, colour) for colour in COLOURS * 3]
        shown += [
            _row(letter, random.choice(_WORDS), thing, random.choice(COLOURS))
            for letter in _LETTERS
            for thing in _THINGS[letter]
        ]
        tokens = rows.tokenise(shown, tokenizer, "causal", max_source_tokens=8, max_target_tokens=4)
        optimizer.zero_grad()
        loss = target_loss(network, rows.collate(tokens, pad=0), "causal") / (2 * len(shown))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _row(letter: str, word: str, thing: str, colour: str) -> Row:
    return Row(f"{letter} {word} {thing}", f" {colour}", COLOURS)


def _relabelled(given: Sequence[Row], random: Random) -> list[Row]:
    return [Row(row.prompt, f" {random.choice(COLOURS)}", row.options) for row in given]


def _renamed(given: Sequence[Row], other: Mapping[str, str]) -> list[Row]:
    return [Row(row.prompt, f" {other[row.target.strip()]}", row.options) for row in given]


def _derangement(random: Random) -> dict[str, str]:
    """Return for each colour another one, each once: colours in a circle of random order, moved on by one."""
    circle = random.sample(COLOURS, len(COLOURS))
    return dict(zip(circle, [*circle[1:], circle[0]], strict=True))
