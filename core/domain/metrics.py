"""How scores are called, wherever they are formed, kept or shown."""

from typing import Final

EXACT_MATCH: Final = "exact_match"
OPTION_LIKELIHOOD: Final = "option_likelihood"
TOKEN_F1: Final = "token_f1"  # noqa: S105 - a metric's name
ROUGE_L: Final = "rouge_l"
TOKEN_ACCURACY: Final = "token_accuracy"  # noqa: S105 - a metric's name
PERPLEXITY: Final = "perplexity"

# Those that are a share from 0 to 1, more being better: only such can fill a score matrix.
SHARES: Final = frozenset({EXACT_MATCH, OPTION_LIKELIHOOD, TOKEN_F1, ROUGE_L, TOKEN_ACCURACY})
