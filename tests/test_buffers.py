"""Buffers that outlive a training step serve every mode that torch has."""

import torch

from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig
from molvae.models.presets import preset
from molvae.models.vae import SequenceVAE


def test_a_model_trains_on_after_it_was_used_under_inference_mode() -> None:
    model = SequenceVAE(preset("tiny"), vocab_size=12, max_length=20)
    batch = Batch.collate([[5, 6, 7], [8]])
    with torch.inference_mode():
        model.logits(batch.tokens, batch.lengths, torch.zeros(2, 8))
    terms = model.losses(batch, ObjectiveConfig(), torch.Generator().manual_seed(0))
    terms.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
