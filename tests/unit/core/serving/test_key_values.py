"""Slots never overlap, none is lost, and what rests makes room when it is needed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.serving.llama.architecture import LlamaShape
from core.serving.llama.key_values import KeyValues, Slot

ROOM = 64
SHAPE = LlamaShape(
    layers=2,
    heads=2,
    kv_heads=1,
    head_size=4,
    context_tokens=ROOM,
    norm_epsilon=1e-6,
    dtype=torch.float32,
    device=torch.device("cpu"),
)


def fill(room: KeyValues, slot: Slot, value: float) -> None:
    for layer in (*room.keys, *room.values):
        layer[..., slot.start : slot.start + slot.tokens, :] = value


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30), st.booleans()), max_size=60))
@settings(max_examples=60, deadline=None)
def test_slots_never_overlap_and_none_is_lost(moves: list[tuple[int, int, bool]]) -> None:
    room = KeyValues(SHAPE, ROOM)
    held: list[tuple[Slot, float]] = []
    for number, (tokens, read, gives_back) in enumerate(moves):
        if gives_back and held:
            slot, value = held.pop(read % len(held))
            assert all((layer[..., slot.start : slot.start + slot.tokens, :] == value).all() for layer in room.keys)
            room.rest(slot, "v", range(min(read, slot.tokens)))
        elif (slot_or_none := room.take(tokens)) is not None:
            fill(room, slot_or_none, float(number))
            held.append((slot_or_none, float(number)))
        assert room.used_tokens() == sum(slot.tokens for slot, _ in held)
    for slot, _ in held:
        room.rest(slot, "v", ())
    everything = room.take(ROOM)
    assert everything is not None
    assert everything.start == 0


def test_what_rests_is_found_until_its_room_is_needed_the_oldest_goes_first() -> None:
    room = KeyValues(SHAPE, ROOM)
    younger, older = room.take(20), room.take(20)
    assert younger is not None
    assert older is not None
    room.rest(older, "older", range(8))
    room.rest(younger, "younger", range(8))
    assert [[*each.read] for each in room.resting("older")] == [[*range(8)]]
    assert room.take(40) is not None
    assert (len(room.resting("older")), len(room.resting("younger"))) == (0, 1)
    assert room.take(ROOM) is None


def test_what_rests_takes_a_quarter_of_the_room_at_most() -> None:
    room = KeyValues(SHAPE, ROOM)
    for number in range(3):
        slot = room.take(20)
        assert slot is not None
        room.rest(slot, str(number), range(8))
    assert [len(room.resting(str(number))) for number in range(3)] == [0, 1, 1]


def test_a_beginning_is_copied_as_it_is() -> None:
    room = KeyValues(SHAPE, ROOM)
    source, target = room.take(10), room.take(20)
    assert source is not None
    assert target is not None
    fill(room, target, 0.0)
    fill(room, source, 3.0)
    room.copy(source, target, 4)
    for layer in (*room.keys, *room.values):
        copied = layer[0, target.start : target.start + target.tokens, 0]
        assert copied.tolist() == [3.0] * 4 + [0.0] * 16
