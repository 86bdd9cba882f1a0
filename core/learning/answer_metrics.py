"""How close an answer comes to what was expected, as texts: exact match, token F1 and ROUGE-L. No torch.

Token F1 is that of SQuAD (P. Rajpurkar et al., EMNLP 2016, 5.1): articles and punctuation do not count. ROUGE-L is the
F-measure of C. Lin (ACL workshop 2004, equations 2 to 4, beta 1) over lower-case words of any script.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from core.domain.metrics import EXACT_MATCH, ROUGE_L, TOKEN_F1

_ARTICLES: Final = frozenset({"a", "an", "the"})
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_WORD: Final = re.compile(r"\w+")


def normalised(text: str) -> str:
    """Return ``text`` as exact match compares it: lower case, single spaces, none at the ends."""
    return " ".join(text.lower().split())


def may_become(beginning: str, expected: str) -> bool:
    """Return whether a text that begins so may still be ``expected`` to exact match.

    True where it is not certain: white space is left out, since more text may change what of it counts, and so are
    characters at the end that are not whole yet.
    """
    return _squeezed(expected).startswith(_squeezed(beginning.rstrip("\ufffd")))


def exact_match(answer: str, expected: str) -> float:
    """Return 1 where both say the same, else 0."""
    return float(normalised(answer) == normalised(expected))


def token_f1(answer: str, expected: str) -> float:
    """Return the harmonic mean of the shares of words that both have in common; 1 where neither has any."""
    mine, theirs = _words(answer), _words(expected)
    return _f1(sum((Counter(mine) & Counter(theirs)).values()), mine, theirs)


def rouge_l(answer: str, expected: str) -> float:
    """Return the same of the longest sequence of words that both have in this order."""
    mine, theirs = _WORD.findall(answer.lower()), _WORD.findall(expected.lower())
    return _f1(_longest_common(mine, theirs), mine, theirs)


MEASURES: Final[Mapping[str, Callable[[str, str], float]]] = {
    EXACT_MATCH: exact_match,
    TOKEN_F1: token_f1,
    ROUGE_L: rouge_l,
}


def chance(metric: str, expected: Sequence[str]) -> float:
    """Return what answers get that do not look at their prompts.

    By exact match it is the best constant answer. By a graded metric it is the commonest answer throughout, or else the
    answers of other rows, each row answered as the next different one should be: whichever gets more.
    """
    (commonest, times), *_ = Counter(map(normalised, expected)).most_common(1)
    if metric == EXACT_MATCH:
        return times / len(expected)
    measure, count = MEASURES[metric], len(expected)
    constant = sum(measure(commonest, text) for text in expected)
    others = [
        next((text for text in (*expected[n + 1 :], *expected[:n]) if text != expected[n]), expected[n])
        for n in range(count)
    ]
    return max(constant, sum(map(measure, others, expected))) / count


def _squeezed(text: str) -> str:
    # Folded after it is lowered: a sigma is lowered by what stands behind it, and folded by itself.
    return "".join(text.lower().split()).casefold()


def _words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_NO_PUNCTUATION).split() if word not in _ARTICLES]


def _f1(common: int, left: Sequence[str], right: Sequence[str]) -> float:
    return 2 * common / (len(left) + len(right)) if left or right else 1.0


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, a row of its table at a time in the bits of a number.

    H. Hyyrö, Bit-parallel LCS-length computation revisited, AWOCA 2004.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(left)) - 1
    row = whole
    for word in right:
        met = row & places.get(word, 0)
        row = (row + met | row - met) & whole
    return len(left) - row.bit_count()
