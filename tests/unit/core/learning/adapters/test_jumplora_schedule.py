import pytest

from core.learning.adapters.jumplora.schedule import GateSchedule


def interpolations(max_steps: int, first: float = 0.2, final: float = 0.8) -> list[float]:
    schedule = GateSchedule.of(first, final, max_steps)
    return [schedule.interpolation_after(step) for step in range(1, max_steps + 1)]


@pytest.mark.parametrize(
    ("max_steps", "expected"),
    [
        (1, [1.0]),
        (2, [1.0, 1.0]),
        (3, [1 / 2, 1.0, 1.0]),
        (4, [1 / 3, 2 / 3, 1.0, 1.0]),
        (5, [0.0, 1 / 3, 2 / 3, 1.0, 1.0]),
        (7, [0.0, 1 / 4, 2 / 4, 3 / 4, 1.0, 1.0, 1.0]),
    ],
)
def test_short_runs_open_and_close_the_gate(max_steps: int, expected: list[float]) -> None:
    assert interpolations(max_steps) == pytest.approx(expected)


@pytest.mark.parametrize("max_steps", range(1, 60))
def test_the_threshold_starts_once_before_the_first_gated_step_and_the_run_ends_sparse(max_steps: int) -> None:
    schedule = GateSchedule.of(0.2, 0.8, max_steps)
    starts = [step for step in range(1, max_steps + 1) if schedule.starts_after(step)]
    curve = interpolations(max_steps)
    assert len(starts) == 1
    assert all(f == 0 for f in curve[: starts[0] - 1])
    assert curve[-1] == 1.0
    assert curve == sorted(curve)


def test_a_long_run_follows_the_published_ramp() -> None:
    curve = interpolations(30)
    assert curve[5] == 0.0
    assert curve[6] == pytest.approx(1 / 18)
    assert curve[22] == pytest.approx(17 / 18)
    assert curve[23:] == [1.0] * 7


def test_an_empty_ramp_is_a_jump() -> None:
    assert interpolations(10, first=0.5, final=0.5) == [0.0] * 4 + [1.0] * 6
    assert interpolations(4, first=0.0, final=0.0) == [1.0] * 4
    assert interpolations(4, first=1.0, final=1.0) == [0.0, 0.0, 0.0, 1.0]
