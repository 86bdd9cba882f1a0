"""Documents packed into blocks of one length: no token is lost, and none is predicted from another document."""

from collections.abc import Iterable, Sequence

from core.learning.loss import IGNORED


def packed(documents: Iterable[Sequence[int]], *, block_tokens: int) -> list[tuple[list[int], list[int]]]:
    """Return inputs and labels of blocks, in the documents' order; all are ``block_tokens`` long but the last.

    Every token is a label once, but for the first of each document: nothing of the document stands before it. A block
    that goes on with a document begins with the last token of the block before it, as something to predict from.

    Args:
        documents: in tokens, each of at least two.
        block_tokens: at least 2.
    """
    blocks: list[tuple[list[int], list[int]]] = []
    ids: list[int] = []
    labels: list[int] = []
    for document in documents:
        for place, token in enumerate(document):
            if len(ids) == block_tokens:
                blocks.append((ids, labels))
                ids, labels = ([ids[-1]], [IGNORED]) if place else ([], [])
            ids.append(token)
            labels.append(token if place else IGNORED)
    return [*blocks, (ids, labels)] if ids else blocks
