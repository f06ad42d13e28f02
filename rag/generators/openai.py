"""Answers from a server that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, LM Studio, or OpenAI itself."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rag.generators.drafting import draft, without_thinking
from rag.generators.errors import GeneratorError
from rag.generators.image_inputs import to_data_url
from rag.generators.prompt import Prompt, build_prompt
from rag.types import Context, Draft, Query

if TYPE_CHECKING:
    import httpx

# What servers answer to a picture that their model cannot see: vLLM 400, llama.cpp 500, others in between.
_PERHAPS_PICTURES = frozenset({400, 413, 415, 422, 500, 501})


class _PicturesRefused(Exception):
    pass


class OpenAIGenerator:
    """A model behind a URL. Nothing is sent before the first question.

    `model` defaults to the first that the server lists. The key comes from OPENAI_API_KEY. Sampling is greedy.
    `generate` raises GeneratorError, one line each: no server, bad key, unknown model, time-out, broken or malformed
    stream. When the server refuses pictures, the question is asked once more without them.
    """

    def __init__(
        self, url: str, model: str | None = None, *, max_tokens: int = 512, connect_timeout: float = 5.0,
        read_timeout: float = 300.0,
    ) -> None:
        self.url = _base(url)
        self.model = model
        self.max_tokens = max_tokens
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout  # between two pieces; a slow CPU reads a long prompt for minutes

    @classmethod
    def from_name(cls, name: str) -> OpenAIGenerator:
        """`openai:URL` or `openai:URL#MODEL`."""
        url, _, model = name.removeprefix("openai:").partition("#")
        return cls(url, model or None)

    @property
    def name(self) -> str:
        return self._named(self.model)

    def _named(self, model: str | None) -> str:
        return f"openai:{self.url}" + (f"#{model}" if model else "")

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        prompt = build_prompt(query.text, context)
        pieces: list[str] = []
        details: dict[str, Any] = {"generator": self.name, "pictures": len(prompt.pictures)}
        with self._client() as client:
            model = self.model or self._models(client)[0]
            details["generator"] = self._named(model)
            try:
                for piece in without_thinking(self._stream(client, model, prompt, details)):
                    pieces.append(piece)
                    yield piece
            except _PicturesRefused:
                details["pictures"] = 0
                for piece in without_thinking(self._stream(client, model, Prompt(prompt.system, prompt.user), details)):
                    pieces.append(piece)
                    yield piece
                context = replace(context, pictures={})  # pictures that were not seen support nothing
        yield draft(query.text, "".join(pieces), context, **details)

    def models(self) -> tuple[str, ...]:
        """The names of the models that the server has; GeneratorError where there is none, or no server."""
        with self._client() as client:
            return self._models(client)

    def _client(self) -> httpx.Client:
        import httpx

        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key.isascii():
            raise GeneratorError("OPENAI_API_KEY holds a character that no key has: set it again, or unset it")
        return httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self.read_timeout, connect=self.connect_timeout),
            trust_env=not _is_local(self.url),  # a proxy of the environment does not lead to this machine
        )

    def _stream(self, client: httpx.Client, model: str, prompt: Prompt, details: dict[str, Any]) -> Iterator[str]:
        import httpx

        body = {
            "model": model,
            "messages": _messages(prompt),
            "stream": True,
            "temperature": 0,
            "max_tokens": self.max_tokens,
        }
        try:
            with client.stream("POST", f"{self.url}/chat/completions", json=body) as response:
                if response.status_code in _PERHAPS_PICTURES and prompt.pictures:
                    raise _PicturesRefused
                if response.status_code != 200:
                    response.read()
                    raise self._refusal(client, response)
                yield from self._pieces(response.iter_lines(), details)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(error) from error

    def _pieces(self, lines: Iterator[str], details: dict[str, Any]) -> Iterator[str]:
        """The text in a stream of server-sent events. One that just ends was cut, and is an error."""
        finished = False
        for line in lines:
            field, _, value = line.partition(":")
            if field == "error":
                raise GeneratorError(f"{self.url} failed while answering: {_short(value)}")
            if field != "data":
                continue  # comments, event names, blank lines
            if value.strip() == "[DONE]":
                return
            event = self._parsed(value)
            if event.get("error"):
                raise GeneratorError(f"{self.url} failed while answering: {_reason(event)}")
            for choice in _objects(event.get("choices")):
                delta = choice.get("delta")
                text = delta.get("content") if isinstance(delta, dict) else None
                if isinstance(text, str) and text:
                    yield text
                if choice.get("finish_reason"):
                    details["finish_reason"] = choice["finish_reason"]
                    finished = True
        if not finished:
            raise GeneratorError(f"{self.url} broke off within the answer: ask again, or see the server's log")

    def _models(self, client: httpx.Client) -> tuple[str, ...]:
        import httpx

        try:
            response = client.get(f"{self.url}/models")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._broken(error) from error
        if response.status_code in (401, 403):
            raise self._refusal(client, response)
        if response.status_code != 200:
            raise GeneratorError(f"{self.url} lists no models ({response.status_code}): is it OpenAI-compatible?")
        names = tuple(str(entry["id"]) for entry in _objects(self._parsed(response.text).get("data")) if "id" in entry)
        if not names:
            raise GeneratorError(f"{self.url} has no model: load one there first, or name one with openai:URL#MODEL")
        return names

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            parsed = json.loads(text)
        except ValueError as error:
            raise GeneratorError(f"{self.url} sent malformed JSON: {_short(text)}") from error
        if not isinstance(parsed, dict):
            raise GeneratorError(f"{self.url} sent JSON of another kind: {_short(text)}")
        return parsed

    def _refusal(self, client: httpx.Client, response: httpx.Response) -> GeneratorError:
        reason = _reason_of(response.text)
        if response.status_code in (401, 403):
            status = response.status_code
            return GeneratorError(f"{self.url} refused the key ({status}): set OPENAI_API_KEY to a valid one")
        if response.status_code == 404:
            there = self._models(client)
            if self.model not in there:
                return GeneratorError(f"{self.url} has no model {self.model!r}; it has: {', '.join(there)}")
        return GeneratorError(f"{self.url} answered {response.status_code}: {reason}")

    def _broken(self, error: Exception) -> GeneratorError:
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            reason = _short(str(error))
            return GeneratorError(f"no server answers at {self.url}: start it, or mend the address ({reason})")
        if isinstance(error, httpx.TimeoutException):
            silent = f"{self.read_timeout:g} seconds"
            return GeneratorError(f"{self.url} sent nothing for {silent}: a smaller model answers sooner")
        return GeneratorError(f"the connection to {self.url} broke: {_short(str(error)) or type(error).__name__}")


def _base(url: str) -> str:
    """The address that `/chat/completions` is appended to; `/v1` is added to a bare host."""
    url = url.strip()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        _ = parts.port  # out of range is a ValueError
    except ValueError as error:
        raise GeneratorError(f"{url!r} is no address of a server: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GeneratorError(f"{url!r} is no address of a server: write it like http://127.0.0.1:11434/v1")
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    content: str | list[dict[str, Any]] = prompt.user
    if prompt.pictures:
        pictures = [{"type": "image_url", "image_url": {"url": to_data_url(picture)}} for picture in prompt.pictures]
        content = [*pictures, {"type": "text", "text": prompt.user}]
    return [{"role": "system", "content": prompt.system}, {"role": "user", "content": content}]


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; what is something else is as if it were not there."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _reason_of(text: str) -> str:
    try:
        parsed = json.loads(text)
    except ValueError:
        return _short(text) or "no reason given"
    return _reason(parsed) if isinstance(parsed, dict) else _short(text)


def _reason(event: dict[str, Any]) -> str:
    error = event.get("error") or event.get("detail") or event
    return _short(str(error.get("message") or error) if isinstance(error, dict) else str(error))


def _short(text: str) -> str:
    """One line of at most 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
