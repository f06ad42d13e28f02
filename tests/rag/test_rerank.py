"""Reranking: an order by the reader's logits over what was read, the rest behind it; the same for every generator."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_rag import evidence

from indexing.build.run import build
from models.common.minilm import MiniLM
from models.reader.coordinates import BlockModality
from models.reader.flops import Cost
from models.reader.types import Window
from rag.calibration import RerankWeights
from rag.config import ConfigError
from rag.generators.quote import sentence_features
from rag.pipeline import RagPipeline
from rag.rerank import FEATURES, rerank
from rag.types import ChannelRank, Context, Reading

BY_EVIDENCE = RerankWeights(tuple(float(name == "evidence") for name in FEATURES), (0.0, 0.0))


def read(*logits: float | None) -> Context:
    """A context whose pieces have these evidence logits; None: not read."""
    pieces = tuple(evidence(f"Passage {number}.", f"{number}.txt") for number in range(len(logits)))
    readings = tuple(Reading(() if logit is None else (_window(number, logit),)) for number, logit in enumerate(logits))
    return Context(pieces, readings=readings)


def _window(number: int, logit: float, summary: tuple[float, float] | None = None) -> Window:
    state = None if summary is None else np.array(summary, np.float16)
    judged = np.array([0.0, logit])
    return Window(number, [], [], np.zeros((0, 2)), judged, None, state, True, BlockModality.TEXT, Cost())


def test_the_state_of_a_chunk_counts_beside_the_heads_and_a_reader_may_keep_none() -> None:
    pieces = tuple(evidence(f"Passage {number}.", f"{number}.txt") for number in range(3))
    windows = (_window(0, 1.0, (0.0, 1.0)), _window(1, 1.0, (1.0, 0.0)), _window(2, 1.5))
    context = Context(pieces, readings=tuple(Reading((window,)) for window in windows))
    ordered = rerank(context, RerankWeights(BY_EVIDENCE.weights, (2.0, -1.0)))
    assert [piece.document for piece in ordered.evidence] == ["1.txt", "2.txt", "0.txt"]
    assert [piece.document for piece in rerank(context, BY_EVIDENCE).evidence] == ["2.txt", "0.txt", "1.txt"]


@given(st.lists(st.none() | st.floats(-30, 30), max_size=12))
def test_what_was_read_comes_first_in_the_order_of_its_scores_and_nothing_is_lost(logits: list[float | None]) -> None:
    context = read(*logits)
    made = rerank(context, BY_EVIDENCE)
    names = [piece.document for piece in made.evidence]
    assert sorted(names) == sorted(piece.document for piece in context.evidence)
    ranked = [piece for piece in made.evidence if "rerank" in piece.channels]
    assert ranked == list(made.evidence[: len(ranked)]) and len(ranked) == sum(logit is not None for logit in logits)
    assert [piece.channels["rerank"].rank for piece in ranked] == list(range(1, len(ranked) + 1))
    scores = [piece.channels["rerank"].score for piece in ranked]
    assert scores == sorted(scores, reverse=True) and all(math.isfinite(score) for score in scores)
    rest = [int(name.removesuffix(".txt")) for name in names[len(ranked) :]]
    assert rest == sorted(rest)
    for piece, reading in zip(made.evidence, made.readings, strict=True):  # readings move with their evidence
        assert [window.passage for window in reading.windows] in ([int(piece.document.removesuffix(".txt"))], [])


def test_dense_and_bm25_agree_whatever_other_channels_found_the_chunk() -> None:
    rank = ChannelRank(1, 1.0)
    column = sentence_features.ANSWER_FEATURES.index("agreement")

    def agreement(*channels: str) -> float:
        piece = evidence("The mill.", "a.txt")
        piece = type(piece)(
            **{**{name: getattr(piece, name) for name in piece.__slots__}, "channels": dict.fromkeys(channels, rank)}
        )
        asked = sentence_features.asked("The mill?", np.ones(2), {"mill": 1}, 1)
        features = np.zeros((1, len(sentence_features.SENTENCE_FEATURES)))
        return sentence_features.answer_features(asked, np.zeros(1), features, 0, [piece], [0])[column]

    assert agreement("dense", "bm25", "image", "rerank") == agreement("dense", "bm25") == 1
    assert agreement("dense", "image") == agreement("image", "rerank") == 0


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What names the words of the question most is not what answers it."""
    folder = tmp_path_factory.mktemp("rerank")
    texts = {
        "list": "Keeper of the lighthouse, first keeper, keeper's house: words of the lighthouse and its first keeper.",
        "answer": "Ada Thorne was appointed in 1871 and lit the lamp of the new lighthouse for the first time.",
        "other": "The lighthouse is open to visitors on Sundays. Children pay nothing.",
    }
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    build([folder], folder / "index")
    return folder / "index"


QUESTION = "Who was the first keeper of the lighthouse?"


def test_search_and_ask_rerank_and_every_generator_gets_the_order(index: Path) -> None:
    rag = RagPipeline.from_index(index)
    plain, reranked = rag.search(QUESTION), rag.search(QUESTION, rerank=True)
    assert {piece.chunk_id for piece in plain} == {piece.chunk_id for piece in reranked}
    assert not any("rerank" in piece.channels for piece in plain)
    ranks = [piece.channels["rerank"].rank for piece in reranked]
    assert ranks == [1, 2, 3]
    order = [piece.chunk_id for piece in reranked]
    for generator in ("embedded", "quote"):
        answer = RagPipeline.from_index(index, generator=generator).ask(QUESTION)
        assert [piece.chunk_id for piece in answer.evidence] == order and answer.trace["reading"]["blocks"]["live"] == 3
        kept = RagPipeline.from_index(index, generator=generator, rerank=False).ask(QUESTION)
        assert [piece.chunk_id for piece in kept.evidence] == [piece.chunk_id for piece in plain]


def test_the_budget_bounds_what_is_read_and_the_rest_keeps_its_place(index: Path) -> None:
    rag = RagPipeline.from_index(index, budget=0.001)
    first, *rest = rag.search(QUESTION, rerank=True)
    plain = rag.search(QUESTION)
    assert first.chunk_id == plain[0].chunk_id and first.channels["rerank"].rank == 1
    assert [piece.chunk_id for piece in rest] == [piece.chunk_id for piece in plain[1:]]
    assert not any("rerank" in piece.channels for piece in rest)


def test_without_a_reranker_it_says_how_to_get_one(index: Path) -> None:
    with pytest.raises(ConfigError, match="open it with rerank=True"):
        RagPipeline.from_index(index, generator="quote", rerank=False).search(QUESTION, rerank=True)


def test_the_command_line_reranks_by_a_flag(index: Path) -> None:
    command = [sys.executable, "-m", "rag", "search", QUESTION, "--index", str(index), "--json"]
    root = Path(__file__).parents[2]
    for flags, there in ([], False), (["--rerank"], True):
        done = subprocess.run([*command, *flags], cwd=root, capture_output=True, text=True, timeout=120)
        results = json.loads(done.stdout)["results"]
        assert [("rerank" in hit["channels"]) for hit in results] == [there] * 3


def test_the_embedder_of_the_question_is_asked_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = MiniLM.encode_queries

    def counted(self: MiniLM, texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(MiniLM, "encode_queries", counted)
    RagPipeline.from_index(index).ask(QUESTION)
    assert asked == [QUESTION]
