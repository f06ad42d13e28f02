"""A mixture of experts in the decoder, upcycled from the shipped weights, against the dense decoder.

Each is measured after the same short training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from bench.systems.common import Row, answered, development, drawn, fastest, grounded, prepare, taught
from models.network.grounded import GroundedForCausalLM
from models.reader.coordinates import BlockModality
from models.systems.mixture_of_experts import active_weights, loads
from models.systems.upcycle import upcycled
from models.training.objective import decoded, modalities, recall
from models.training.question_batches import QuestionBatch, Questions
from rag.training.make_pages import material
from rag.training.make_pages import rows as made_pages

FORMS = {"dense": None, "4 experts, 2 a token": (4, 2, 0), "4 experts and 4 null, 2 a token": (4, 2, 4)}
LEARNED, ASKED = 60, 12  # questions of each set to train on, and to answer
DRAWN = 60  # further questions about pages made by a script, for either
BATCHES = 12
TOKENS = 2048  # in a batch to measure balance and speed with
LENGTH = 128  # tokens of each text of that batch


def measure(data: Path) -> Iterator[Row]:
    rows, pages = development(data, ASKED), material(data)
    with tempfile.TemporaryDirectory() as folder:
        learned = Questions(prepare(drawn(data, LEARNED) + made_pages(pages, DRAWN, seed=0), Path(folder) / "train"))
        unseen = Questions(prepare(rows + made_pages(pages, DRAWN, seed=1), Path(folder) / "dev"))
        batches = [unseen.batch(order) for order in unseen.order(TOKENS, 0, 0)]
        for form, asked in FORMS.items():
            torch.manual_seed(0)
            model = grounded() if asked is None else upcycled(grounded(), *asked)
            model = taught(model, learned, BATCHES, Path(folder) / form)
            figures = {
                "weights": model.num_parameters(), "active": active_weights(model),
                "F1": answered(model, rows, greedy=True)["F1"], "tokens a second": speed(model, batches[0]),
            }  # fmt: skip
            yield Row("mixture of experts", form, figures | (balances(model, batches) if asked else {}))


@torch.inference_mode()
def speed(model: GroundedForCausalLM, batch: QuestionBatch) -> int:
    """Tokens a second that the decoder reads, each text with the first memory of a batch."""
    memory, _ = recall(model, batch)
    ids = torch.randint(1000, model.config.vocab_size, (TOKENS // LENGTH, LENGTH))
    inputs = {name: values[:1].expand(len(ids), *values.shape[1:]) for name, values in memory.inputs().items()}
    return round(TOKENS / fastest(lambda: model(ids, logits_to_keep=1, use_cache=False, **inputs)))


@torch.inference_mode()
def balances(model: GroundedForCausalLM, batches: list[QuestionBatch]) -> dict[str, float]:
    """How tokens of each modality are divided among the experts.

    `busiest of`: load of the busiest expert over an even share, 1 = balanced. `null of`: share of null experts.
    """
    routed: list[tuple[torch.Tensor, ...]] = []  # of each batch the modalities of tokens, then logits of each layer
    for batch in batches:
        memory, _ = recall(model, batch)
        routed.append((modalities(batch), *decoded(model, batch, memory).router_logits))
    kinds, *layers = (torch.cat(parts) for parts in zip(*routed, strict=True))
    figures: dict[str, float] = {}
    experts = model.config.num_local_experts
    for kind in BlockModality:
        shares = torch.stack([loads(layer[kinds == kind], model.config) for layer in layers])  # (layers, E + M)
        real = shares[:, :experts]
        figures[f"busiest of {kind.name.lower()}"] = round((real.amax(1) * experts / real.sum(1)).mean().item(), 2)
        if model.config.num_null_experts:
            figures[f"null of {kind.name.lower()}"] = round(shares[:, experts:].sum(1).mean().item(), 2)
    return figures
