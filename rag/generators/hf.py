"""Answers from a transformers model on this machine: text-generation, or image-text-to-text where the config says so.

Weights are safetensors, and no code of the model's repository is run. On a CPU they are read as fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

from models.common import hub
from models.common.torchvision_ops import ensure_operators
from rag.generators.drafting import draft, without_thinking
from rag.generators.errors import GeneratorError
from rag.generators.image_inputs import to_image
from rag.generators.prompt import Prompt, build_prompt
from rag.types import Context, Draft, Query

if TYPE_CHECKING:
    from transformers import BatchFeature, PreTrainedConfig, PreTrainedModel


class HfGenerator:
    """A model of a folder or a hub id; it is loaded at construction, which raises GeneratorError where it cannot be.

    Decoding is greedy. `generate` raises GeneratorError where the prompt does not fit into the model; errors of the
    model itself are passed on. Closing the iterator stops the generation.
    """

    def __init__(self, path: str, *, max_new_tokens: int = 512, download: bool = False) -> None:
        ensure_operators()
        self.name = f"hf:{path}"
        self.max_new_tokens = max_new_tokens
        with hub.access(download):
            config = _load_config(path)
            self.sees = _is_multimodal(config)
            self._model = _load_model(path, config, self.sees)
            self._processor = _load_processor(path, self.sees)
        self._tokenizer = self._processor.tokenizer if self.sees else self._processor

    @classmethod
    def from_name(cls, name: str, *, download: bool = False) -> HfGenerator:
        """`hf:PATH_OR_ID`. download: fetch it from the hub where it is not on this machine."""
        return cls(name.removeprefix("hf:"), download=download)

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        if not self.sees:
            context = replace(context, pictures={})  # pictures that are not seen support nothing
        prompt = build_prompt(query.text, context)
        inputs = self._encode(prompt)
        pieces: list[str] = []
        for piece in without_thinking(self._stream(inputs, self._room(inputs))):
            pieces.append(piece)
            yield piece
        yield draft(query.text, "".join(pieces), context, generator=self.name, pictures=len(prompt.pictures))

    def _encode(self, prompt: Prompt) -> BatchFeature:
        system, user = prompt.system, _without_special_tokens(prompt.user, self._tokenizer)
        images = [to_image(picture) for picture in prompt.pictures]
        if self._processor.chat_template is None:
            if images:
                raise GeneratorError(f"{self.name} has no chat template, so no pictures: use another model")
            return self._tokenizer(f"{system}\n\n{user}\nAnswer:", return_tensors="pt")
        from jinja2 import TemplateError

        try:
            return self._apply([_turn("system", system, (), self.sees), _turn("user", user, images, self.sees)])
        except TemplateError:  # Gemma and others know no system turn
            return self._apply([_turn("user", f"{system}\n\n{user}", images, self.sees)])

    def _apply(self, turns: list[dict[str, Any]]) -> BatchFeature:
        return self._processor.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )

    def _room(self, inputs: BatchFeature) -> int:
        """How many tokens may follow the prompt."""
        config = self._model.config.get_text_config()
        length = inputs["input_ids"].shape[1]
        limit = getattr(config, "max_position_embeddings", None) or length + self.max_new_tokens
        if length >= limit:
            raise GeneratorError(
                f"question and sources take {length} tokens, {self.name} holds {limit}: lower the context budget"
            )
        return min(self.max_new_tokens, limit - length)

    def _stream(self, inputs: BatchFeature, room: int) -> Iterator[str]:
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        closed = Event()

        def run() -> None:
            try:
                self._model.generate(
                    **inputs.to(self._model.device), streamer=streamer, max_new_tokens=room, do_sample=False,
                    num_beams=1,
                    stopping_criteria=StoppingCriteriaList([lambda ids, scores, **_: _all(ids, closed.is_set())]),
                )  # fmt: skip
            finally:
                streamer.text_queue.put(streamer.stop_signal)  # an error must not leave the reader waiting

        with ThreadPoolExecutor(max_workers=1) as executor:
            future = executor.submit(run)
            try:
                yield from (piece for piece in streamer if piece)
                future.result()
            finally:
                closed.set()


def _load_config(path: str) -> PreTrainedConfig:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error


def _is_multimodal(config: PreTrainedConfig) -> bool:
    from transformers import AutoModelForImageTextToText

    # Some families use one config class for both; without a tower for pictures the model is one for text.
    return type(config) in AutoModelForImageTextToText._model_mapping and hasattr(config, "vision_config")


def _load_model(path: str, config: PreTrainedConfig, sees: bool) -> PreTrainedModel:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    try:
        model, report = kind.from_pretrained(
            path, config=config, dtype=torch.float32 if device == "cpu" else "auto", use_safetensors=True,
            trust_remote_code=False, output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, SafetensorError) as error:
        raise _missing(path, error) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise GeneratorError(f"hf:{path} lacks {len(missing)} of its weights ({missing[0]}, ...): they would be random")
    return model.to(device).eval()


def _load_processor(path: str, sees: bool) -> Any:
    from transformers import AutoProcessor, AutoTokenizer

    try:
        return (AutoProcessor if sees else AutoTokenizer).from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error


def _missing(path: str, error: Exception) -> GeneratorError:
    reason = " ".join(str(error).split())
    return GeneratorError(
        f"hf:{path} cannot be loaded: it needs a folder with config.json, a tokenizer and safetensors, or a hub id "
        f"that is in the cache or fetched with --download ({reason[:200]})"
    )


def _turn(role: str, text: str, images: Any, parts: bool) -> dict[str, Any]:
    if not parts:
        return {"role": role, "content": text}
    shown = [{"type": "image", "image": image} for image in images]
    return {"role": role, "content": [*shown, {"type": "text", "text": text}]}


def _without_special_tokens(text: str, tokenizer: Any) -> str:
    """Special tokens written out in a source ("<end_of_turn>", "<image>") are broken up: they would act as tokens."""
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    for token in sorted((token for token in special if len(token) > 2), key=len, reverse=True):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _all(ids: Any, value: bool) -> Any:
    import torch

    return torch.full((ids.shape[0],), value, dtype=torch.bool, device=ids.device)
