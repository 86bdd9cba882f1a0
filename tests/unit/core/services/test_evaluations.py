import pytest

from core.services.evaluations import backward_transfer, forgetting, overall_accuracy, plasticity

SCORES = ((0.9, None, None), (0.95, 0.8, None), (0.6, 0.7, 1.0))


def test_the_figures_follow_their_definitions() -> None:
    assert overall_accuracy(SCORES) == pytest.approx((0.6 + 0.7 + 1.0) / 3)
    assert backward_transfer(SCORES) == pytest.approx(((0.6 - 0.9) + (0.7 - 0.8)) / 2)
    assert forgetting(SCORES) == pytest.approx(((0.95 - 0.6) + (0.8 - 0.7)) / 2)
    assert plasticity(SCORES) == pytest.approx((0.9 + 0.8 + 1.0) / 3)


def test_one_task_has_nothing_to_forget() -> None:
    assert overall_accuracy(((0.5,),)) == 0.5
    assert plasticity(((0.5,),)) == 0.5
    assert backward_transfer(((0.5,),)) is None
    assert forgetting(((0.5,),)) is None


def test_figures_are_over_the_tasks_whose_scores_were_measured() -> None:
    gaps = ((0.9, None, None), (None, 0.8, None), (None, 0.6, None))
    assert overall_accuracy(gaps) == 0.6
    assert backward_transfer(gaps) == pytest.approx(-0.2)
    assert forgetting(gaps) == pytest.approx(0.2)
    assert plasticity(gaps) == pytest.approx(0.85)
    assert overall_accuracy(((0.5,), (None,))) is None


@pytest.mark.parametrize("figure", [overall_accuracy, backward_transfer, forgetting, plasticity])
def test_nothing_learned_has_no_figures(figure: object) -> None:
    assert callable(figure)
    assert figure(()) is None


def test_after_tasks_were_left_out_the_last_task_too_may_have_been_forgotten() -> None:
    # Learned in rows 0 and 1; row 2 is of the version that leaves a third task out.
    rebuilt = ((0.9, None), (0.8, 0.7), (0.6, 0.5))
    assert overall_accuracy(rebuilt) == pytest.approx(0.55)
    assert backward_transfer(rebuilt, [0, 1]) == pytest.approx(((0.6 - 0.9) + (0.5 - 0.7)) / 2)
    assert forgetting(rebuilt, [0, 1]) == pytest.approx(((0.9 - 0.6) + (0.7 - 0.5)) / 2)
    assert plasticity(rebuilt, [0, 1]) == pytest.approx(0.8)
