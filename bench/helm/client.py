"""The shipped reader and its tokenizer as HELM's client (crfm-helm, arXiv 2211.09110), named in the YAML files here."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from helm.clients.client import CachingClient, truncate_sequence
from helm.common.cache import CacheConfig
from helm.common.request import GeneratedOutput, Request, RequestResult, Token, wrap_request_time
from helm.tokenizers.huggingface_tokenizer import HuggingFaceTokenizer

from models.common import base_encoder
from models.common.checkpoint import open_model
from models.network.grounded import GroundedForCausalLM
from models.reader import shipped_weights
from models.systems.text_interface import TextInterface

MODEL = "FOLIO_READER"  # environment variable that names another folder of weights


@cache
def opened(folder: Path) -> TextInterface:
    return TextInterface(open_model(GroundedForCausalLM, folder))


class GroundedClient(CachingClient):
    """Answers greedily: one completion, however many are asked for."""

    def make_request(self, request: Request) -> RequestResult:
        folder = Path(os.environ.get(MODEL, shipped_weights.FOLDER))

        def answer() -> dict[str, Any]:
            [written] = opened(folder).write([request.prompt], request.max_tokens)
            return {"text": written.text, "logprob": written.log_probability}

        asked = {"folder": str(folder), "prompt": request.prompt, "max_tokens": request.max_tokens}
        key = CachingClient.make_cache_key(asked, request)
        response, cached = self.cache.get(key, wrap_request_time(answer))
        text, log_probability = response["text"], response["logprob"]
        whole = GeneratedOutput(text, log_probability, [Token(text, log_probability)])
        return RequestResult(
            success=True, cached=cached, request_time=response["request_time"],
            request_datetime=response["request_datetime"],
            completions=[truncate_sequence(whole, request, print_warning=False)], embedding=[],
        )  # fmt: skip


class MiniLMTokenizer(HuggingFaceTokenizer):
    def __init__(self, cache_config: CacheConfig, tokenizer_name: str) -> None:
        super().__init__(cache_config, tokenizer_name, pretrained_model_name_or_path=str(base_encoder.folder()))
