"""The baseline: MiniLM that reads `[CLS] question [SEP] title [SEP] context [SEP]` at once.

It has span, evidence and answerability heads; everything later is measured against it, and learns from it. The span
head is BERT's (arXiv 1810.04805) with [CLS] as the place of "not here" (its SQuAD 2.0 form).
Legend: B examples, S tokens, D width.
"""

from __future__ import annotations

import torch
from torch import nn

from models.common import base_encoder
from models.common.torchvision_ops import ensure_operators
from models.reader.sequences import Sequences
from models.reader.types import Compute, Computed

ensure_operators()

from transformers import BertConfig, BertModel, PreTrainedModel  # noqa: E402

from models.network.config import WITHOUT_DROPOUT  # noqa: E402


class BaselineReader(PreTrainedModel):
    """transformers' BertModel under three linear heads."""

    config_class = BertConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.span = nn.Linear(config.hidden_size, 2)
        self.judge = nn.Linear(config.hidden_size, 2)  # answerable, evidence
        self.post_init()

    @classmethod
    def from_base(cls) -> BaselineReader:
        """MiniLM's weights under new heads. Its word vectors stay as they are, so they need not be shipped again.

        Dropout is off: one pass over the data leaves little to overfit, and drawing it takes half of a CPU's time.
        """
        config = BertConfig.from_pretrained(base_encoder.folder(), **WITHOUT_DROPOUT)
        model = cls(config)
        pretrained = BertModel.from_pretrained(base_encoder.folder(), config=config, add_pooling_layer=False)
        model.encoder.load_state_dict(pretrained.state_dict())
        model.encoder.embeddings.requires_grad_(False)
        return model

    def forward(
        self, input_ids: torch.Tensor, token_type_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All (B, S) -> logits of start and end (B, S, 2), of answerable and evidence (B, 2)."""
        hidden = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state  # (B, S, D)
        return self.span(hidden), self.judge(hidden[:, 0])


def compute(model: BaselineReader) -> Compute:
    """The model as the Compute of a models.reader.extractive_reader.Reader."""

    def run(rows: Sequences) -> Computed:
        arrays = (rows.input_ids, rows.token_type_ids, rows.attention_mask)
        with torch.inference_mode():
            spans, judged = model(*(torch.from_numpy(array).to(model.device) for array in arrays))
        return Computed(spans.float().cpu().numpy(), judged.float().cpu().numpy())

    return run
