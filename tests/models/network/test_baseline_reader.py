"""The baseline reader's loss by hand, and what of MiniLM it begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
import torch
from torch.nn import functional as F

from models.common import base_encoder
from models.network.baseline_reader import BaselineReader, compute
from models.reader.sequences import Parts, collate
from models.training.batches import Batch
from models.training.objective import baseline_loss


def test_the_loss_by_hand() -> None:
    model, batch = tiny.reader(0.0).eval(), tiny.batch(4, 0)
    spans, judged = model(batch.input_ids, batch.token_type_ids, batch.attention_mask)
    total = 0.0
    for i in range(4):
        allowed = batch.span_mask[i].nonzero().flatten()
        for side, place in ((0, batch.start[i]), (1, batch.end[i])):
            total += torch.logsumexp(spans[i, allowed, side], 0) - spans[i, place, side]
    parts = baseline_loss(model, batch)
    assert parts["span"].item() == pytest.approx(total.item() / 8, abs=1e-5)
    assert parts["answerable"].item() == pytest.approx(
        F.binary_cross_entropy(judged[:, 0].sigmoid(), batch.answerable).item(), abs=1e-5
    )
    assert parts["evidence"].item() == pytest.approx(
        F.binary_cross_entropy(judged[:, 1].sigmoid(), batch.evidence).item(), abs=1e-5
    )
    assert parts["loss"].item() == pytest.approx(
        (parts["span"] + 0.5 * parts["answerable"] + 0.5 * parts["evidence"]).item(), abs=1e-5
    )


def rows(batch: Batch, chosen: slice) -> Batch:
    return Batch(*(getattr(batch, name)[chosen] for name in Batch.__slots__))


def test_what_is_not_known_teaches_nothing() -> None:
    model, batch = tiny.reader(0.0).eval(), tiny.batch(4, 0)
    unknown = torch.tensor([-100, -100])
    half = replace(
        batch,
        start=torch.cat((batch.start[:2], unknown)),
        end=torch.cat((batch.end[:2], unknown)),
        evidence=torch.cat((batch.evidence[:2], -torch.ones(2))),
    )
    known, all_of_it = baseline_loss(model, rows(batch, slice(2))), baseline_loss(model, half)
    for name in ("span", "evidence"):
        assert all_of_it[name].item() == pytest.approx(known[name].item(), abs=1e-5)
    nothing = baseline_loss(model, rows(half, slice(2, 4)))
    assert nothing["span"].item() == nothing["evidence"].item() == 0.0
    nothing["loss"].backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())
    assert not model.span.weight.grad.any()


def test_padding_changes_nothing() -> None:
    parts = [Parts([5, 6], [], list(range(7, 7 + length))) for length in (30, 3)]
    run = compute(tiny.reader(0.0).eval())
    (spans, judged, *_), (alone, judged_alone, *_) = run(collate(parts)), run(collate(parts[1:]))
    assert spans[1, : len(parts[1])] == pytest.approx(alone[0, : len(parts[1])], abs=1e-5) and judged[
        1
    ] == pytest.approx(judged_alone[0], abs=1e-5)


def test_it_begins_with_minilm() -> None:
    from transformers import BertModel

    model, batch = BaselineReader.from_base().eval(), tiny.batch(2, 0)
    reference = BertModel.from_pretrained(base_encoder.folder(), add_pooling_layer=False).eval()
    with torch.inference_mode():
        ours, theirs = (
            encoder(batch.input_ids, batch.attention_mask).last_hidden_state for encoder in (model.encoder, reference)
        )
    torch.testing.assert_close(ours, theirs)
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith("encoder.embeddings.")}
    assert not any(isinstance(part, torch.nn.Dropout) and part.p for part in model.modules())
