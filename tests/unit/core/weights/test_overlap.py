import torch

from core.weights.delta import Delta
from core.weights.overlap import overlap


def delta(rows: list[list[float]], *, sparse: bool = True, module: str = "a") -> Delta:
    return Delta.from_dense({module: torch.tensor(rows)}, sparse=sparse)


def test_the_share_is_of_the_sparser_update() -> None:
    narrow, wide = delta([[1.0, 0.0], [0.0, 0.0]]), delta([[2.0, 0.0], [3.0, 4.0]])
    assert overlap(narrow, wide).shared == 1.0
    assert overlap(wide, narrow) == overlap(narrow, wide)


def test_updates_on_other_weights_have_nothing_in_common() -> None:
    found = overlap(delta([[1.0, 0.0], [0.0, 0.0]]), delta([[0.0, 5.0], [0.0, 0.0]]))
    assert (found.shared, found.cosine) == (0.0, 0.0)
    assert overlap(delta([[1.0]]), delta([[1.0]], module="b")).shared == 0.0


def test_the_cosine_is_that_of_the_updates_as_vectors() -> None:
    left, right = torch.randn(6, 5), torch.randn(6, 5)
    left[left.abs() < 0.5] = 0
    expected = float(torch.nn.functional.cosine_similarity(left.flatten(), right.flatten(), dim=0))
    for sparse in (True, False):
        found = overlap(Delta.from_dense({"a": left}, sparse=sparse), Delta.from_dense({"a": right}, sparse=not sparse))
        assert abs(found.cosine - expected) < 1e-6
        assert found.shared == 1.0


def test_an_update_that_changes_nothing_overlaps_with_none() -> None:
    found = overlap(delta([[0.0, 0.0]]), delta([[1.0, 1.0]]))
    assert (found.shared, found.cosine) == (0.0, 0.0)
