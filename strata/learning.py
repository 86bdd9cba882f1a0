"""The learning library by its public names, for notebooks and experiments.

One task, learned in a flat loop (`base` is any Hugging Face causal model in fp32, `batches` a list of `Batch`)::

    from accelerate import Accelerator
    from strata.learning import (
        Ella, EllaSettings, JumpLora, JumpLoraSettings, Learner, MergeSequential, Training, WPast, adamw,
    )

    past = WPast()                                             # one for the life of the model
    adapter = JumpLora(JumpLoraSettings(target_modules=("q_proj", "v_proj")))
    model = adapter.attach(base)                               # a peft.PeftModel
    learner = Learner(
        model=model, adapter=adapter, objectives=[Ella(EllaSettings(), w_past=past)],
        optimizer=adamw(model, Training()), accelerator=Accelerator(cpu=True), family="causal",
        max_grad_norm=1.0, total_steps=len(batches),
    )
    for batch in batches:
        print(learner.learn([batch]))

    delta = MergeSequential().delta(adapter)                   # sparse: most entries are zero
    base = model.unload()
    MergeSequential().merge(base, delta)
    past.add(delta)                                            # the next task keeps off these weights

The tuner alone is ``peft``'s own shape: ``get_peft_model(base, JumpLoraConfig(...))`` after `register`.
"""

from core.learning.adapters.jumplora.config import JumpLoraSettings
from core.learning.adapters.jumplora.model import JumpLoraModel, register
from core.learning.adapters.jumplora.peft_config import JumpLoraConfig
from core.learning.adapters.jumplora.rule import JumpLora
from core.learning.adapters.jumplora.schedule import GateSchedule
from core.learning.adapters.lora.config import LoraSettings
from core.learning.adapters.lora.rule import Lora
from core.learning.compositions.merge_sequential.rule import MergeSequential
from core.learning.conversations import Conversation, Turn
from core.learning.divergence import DivergedError
from core.learning.learner import Learner, StepFigures, adamw
from core.learning.lineage import Lineage
from core.learning.loss import Batch, target_loss
from core.learning.memories.w_past.rule import WPast
from core.learning.objectives.ella.config import EllaSettings
from core.learning.objectives.ella.rule import Ella
from core.learning.recipe import Evaluation, Recipe, TaskSpec
from core.learning.rows import Document, Row
from core.learning.training import Training
from core.weights.delta import Delta
from core.weights.shira import export_shira

__all__ = [
    "Batch",
    "Conversation",
    "Delta",
    "DivergedError",
    "Document",
    "Ella",
    "EllaSettings",
    "Evaluation",
    "GateSchedule",
    "JumpLora",
    "JumpLoraConfig",
    "JumpLoraModel",
    "JumpLoraSettings",
    "Learner",
    "Lineage",
    "Lora",
    "LoraSettings",
    "MergeSequential",
    "Recipe",
    "Row",
    "StepFigures",
    "TaskSpec",
    "Training",
    "Turn",
    "WPast",
    "adamw",
    "export_shira",
    "register",
    "target_loss",
]

register()
