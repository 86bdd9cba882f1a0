"""Rows that begin alike run their beginning once; the loss and every gradient stay the same."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from core.learning.loss import IGNORED, Batch, shared_prefix, target_loss
from tests.unit.core.learning.conftest import VOCABULARY, llama

PREFIX = 12


def batch(*, alike: int) -> Batch:
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(2, VOCABULARY, (4, 18), generator=generator)
    ids[:, :alike] = ids[0, :alike]
    ids[:, alike] = torch.arange(4) + 2
    mask = torch.ones_like(ids)
    mask[1, -2:] = 0
    labels = ids.clone()
    labels[:, :14] = IGNORED
    labels[mask == 0] = IGNORED
    return Batch(ids, mask, labels)


def adapted() -> Any:
    torch.manual_seed(0)
    model = get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def gradients(rows: Batch, *, whole: bool) -> tuple[float, dict[str, torch.Tensor]]:
    model = adapted()
    loss = target_loss(model, rows, "causal", share_prefix=not whole)
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_a_shared_beginning_gives_the_same_loss_and_gradients() -> None:
    rows = batch(alike=PREFIX)
    assert shared_prefix(rows) == PREFIX - 1
    loss, shared = gradients(rows, whole=False)
    reference, whole = gradients(rows, whole=True)
    # Causal losses are formed in fp32, whatever the model's type.
    assert abs(loss - reference) < 1e-5
    assert shared.keys() == whole.keys()
    for name, gradient in shared.items():
        torch.testing.assert_close(gradient, whole[name], rtol=1e-5, atol=1e-8)


def test_a_short_shared_beginning_is_not_worth_a_pass() -> None:
    assert shared_prefix(batch(alike=4)) == 0


def test_a_target_is_never_part_of_the_prefix() -> None:
    rows = batch(alike=PREFIX)
    same = Batch(
        rows.input_ids_BT[:1].repeat(4, 1), torch.ones(4, 18, dtype=torch.int64), rows.labels_BT[:1].repeat(4, 1)
    )
    assert shared_prefix(same) == 13


def test_padding_is_never_part_of_the_prefix() -> None:
    rows = batch(alike=PREFIX)
    mask = rows.attention_mask_BT.clone()
    mask[2, 3:] = 0
    assert shared_prefix(Batch(rows.input_ids_BT, mask, rows.labels_BT)) == 0
