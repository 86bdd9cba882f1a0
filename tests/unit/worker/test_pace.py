"""How long a trainer may be silent: as long as the setting says, and as its own steps take."""

from worker.control.supervisor import Pace


def test_a_trainer_without_steps_has_no_pace() -> None:
    pace = Pace()
    assert pace.seconds == 0.0
    pace.note(1, at=100.0)
    assert pace.seconds == 0.0


def test_the_pace_is_the_median_so_that_one_long_step_does_not_set_it() -> None:
    pace = Pace()
    for step, at in ((1, 0.0), (2, 60.0), (3, 120.0), (4, 1_000.0), (5, 1_060.0)):
        pace.note(step, at=at)
    assert pace.seconds == 60.0


def test_steps_that_arrive_together_share_the_time_between() -> None:
    pace = Pace()
    pace.note(10, at=0.0)
    pace.note(20, at=50.0)
    assert pace.seconds == 5.0


def test_scoring_repeats_the_last_step_and_leaves_the_pace_alone() -> None:
    pace = Pace()
    for step, at in ((1, 0.0), (2, 10.0), (2, 11.0), (2, 12.0)):
        pace.note(step, at=at)
    assert pace.seconds == 10.0
