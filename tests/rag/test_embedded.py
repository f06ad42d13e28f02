"""The extractive generator with a made-up reader, which votes for one word as start and one as end of the answer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import complete
from samples_rag import evidence

from indexing.build.run import build
from indexing.index import Index
from indexing.types import Modality
from models.common.errors import WeightsError
from models.common.minilm import MiniLM
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from models.reader.sequences import Sequences
from models.reader.types import Computed
from models.reader.windows import open_tokenizer
from models.systems import quantise
from models.training import finetune
from rag import reading
from rag.calibration import FILE, PictureWeights, QuoteWeights, calibration
from rag.config import ConfigError, RagConfig
from rag.context import gather
from rag.generators.protocol import ABSTENTION
from rag.generators.quote import sentence_features
from rag.generators.quote.comparison import Comparison, compare
from rag.generators.quote.generator import QuoteGenerator
from rag.image_features import ImageFeatures
from rag.lookups import picture_lookup
from rag.pipeline import RagPipeline
from rag.rerank import FEATURES
from rag.types import Context, Draft, Evidence
from rag.understand import understand

HEADER = "Year | Visitors"
READ = sentence_features.READER_FEATURES + sentence_features.ROW_FEATURES
SENTENCE = (
    len(sentence_features.SENTENCE_FEATURES)
    + len(sentence_features.READER_FEATURES)
    + len(sentence_features.ROW_FEATURES)
)
ANSWER = len(sentence_features.ANSWER_FEATURES) + len(sentence_features.READER_FEATURES)
NO_PICTURES = PictureWeights((0.0,) * 4, -99.0)  # none ever shows what is asked for
# a sentence's score is the log-odds of its answer, and so is that of the confidence
BY_SPAN = QuoteWeights(
    tuple(float(i == len(sentence_features.SENTENCE_FEATURES)) for i in range(SENTENCE)),
    tuple(float(i == len(sentence_features.ANSWER_FEATURES)) for i in range(ANSWER)), 0.0, 0.5,
)  # fmt: skip


def votes(start: str, end: str = "", loud: float = 6.0) -> Reader:
    """A reader for which `start` gets so much as the start and `end` as the end; [CLS] has 2 of both, all else 0."""
    tokenizer = open_tokenizer()
    first, last = (tokenizer.encode(word, add_special_tokens=False).ids for word in (start, end or start))

    def compute(rows: Sequences) -> Computed:
        ids = rows.input_ids
        spans = np.stack((loud * (ids == first[0]), loud * (ids == last[-1])), -1).astype(np.float32)
        spans[:, 0] = 2.0
        return Computed(spans, np.zeros((len(ids), 2), np.float32))

    return Reader(compute)


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    (folder / "a.txt").write_text("The mill grinds barley.")
    build([folder / "a.txt"], folder / "index")
    return folder / "index"


def answered(
    embedder: MiniLM, context: Context, reader: Reader, weights: QuoteWeights = BY_SPAN, threshold: float = 0.5,
    question: str = "Why is that?",
) -> Draft:  # fmt: skip
    """What is answered; its form is checked in passing."""
    generator = QuoteGenerator(embedder, weights, NO_PICTURES, threshold, reader)
    *pieces, draft = generator.generate(*complete(question, context, embedder, reader))
    assert isinstance(draft, Draft) and 0 <= draft.confidence <= 1
    assert "".join(pieces) == ("" if draft.abstained else draft.text)
    for one in draft.supports:
        quote = context.evidence[one.index].text[one.start : one.end]
        assert quote and draft.text[one.claim_start : one.claim_end] == quote
    return draft


def compared(embedder: MiniLM, context: Context, reader: Reader, question: str = "Why?") -> Comparison:
    return compare(*complete(question, context, embedder, reader), embedder)


def quotes(draft: Draft, context: Context) -> list[tuple[int, str]]:
    return [(one.index, context.evidence[one.index].text[one.start : one.end]) for one in draft.supports]


def table(text: str) -> Evidence:
    return evidence(text, "visitors.csv", headings=("Museum", HEADER), modality=Modality.TABLE)


def test_the_sentence_then_the_answer_on_its_own_line(embedder: MiniLM, pool: Context) -> None:
    draft = answered(embedder, pool, votes("28", "degrees"))
    assert draft.text == "It is heated to 28 degrees.\n28 degrees"
    assert quotes(draft, pool) == [(0, "It is heated to 28 degrees."), (0, "28 degrees")]
    assert draft.confidence == pytest.approx(1 / (1 + np.exp(-8)), abs=1e-4) and not draft.abstained


def test_without_a_reader_what_was_read_counts_nothing(embedder: MiniLM, pool: Context) -> None:
    """`quote` is another generator, whether or not its context was read to be reranked."""
    weights = QuoteWeights(
        BY_SPAN.sentence[: -len(READ)], BY_SPAN.answer[: -len(sentence_features.READER_FEATURES)], 9.0, 0.5
    )
    plain = QuoteGenerator(embedder, weights, NO_PICTURES, 0.5)
    query, read = complete("Why?", pool, embedder, votes("28", "degrees"))
    assert plain.name == "quote" and QuoteGenerator(embedder, BY_SPAN, NO_PICTURES, 0.5, votes("x")).name == "embedded"
    [*_, with_reading], [*_, without] = plain.generate(query, read), plain.generate(query, replace(read, readings=()))
    assert with_reading == without and not without.abstained


def test_most_of_a_sentence_is_not_said_again(embedder: MiniLM, pool: Context) -> None:
    assert answered(embedder, pool, votes("The", "2005")).text == "The roof was mended in 2005."


def test_an_answer_does_not_reach_into_the_next_sentence(embedder: MiniLM) -> None:
    context = Context((evidence("It was old. The roof leaked badly in spring. Rain came in. Nobody knew."),))
    *sentences, short = (quote for _, quote in quotes(answered(embedder, context, votes("leaked", "Rain")), context))
    assert sentences[0] in ("The roof leaked badly in spring.", "Rain came in.") and short in sentences[0]


def test_a_cell_is_said_again_where_reader_and_question_agree(embedder: MiniLM) -> None:
    """The reader tells the row, and mistakes the column too often to be believed alone."""
    context = Context(
        (
            evidence(
                "2004 | 8,100 | 7\n2005 | 9,200 | 8",
                "a.csv",
                headings=("Year | Visitors | Days",),
                modality=Modality.TABLE,
            ),
        )
    )
    row = "2005 | 9,200 | 8"
    asks = {"How many visitors came then?": [row, "9,200"], "How many days was it open?": [row], "Why is that?": [row]}
    for question, said in asks.items():
        draft = answered(embedder, context, votes("9", "200"), question=question)
        assert [quote for _, quote in quotes(draft, context)] == said


def test_of_two_cells_that_are_alike_none_is_said_again(embedder: MiniLM) -> None:
    context = Context((table("2004 | 8,100\n9,200 | 9,200"),))
    draft = answered(embedder, context, votes("9", "200"), question="How many visitors were there?")
    assert quotes(draft, context) == [(0, "9,200 | 9,200")]


def test_what_is_found_in_a_row_is_one_cell(embedder: MiniLM) -> None:
    context = Context((table("2004 | 8,100\n2005 | 9,200"),))
    for reader in (votes("2004", "2005"), votes("2005", "200")):
        attempt = compared(embedder, context, reader)
        said = [context.evidence[0].text[one.start : one.end] for one in attempt.findings]
        assert said[0] in ("2004", "8,100") and said[1] in ("2005", "9,200")


def test_what_is_found_in_the_header_is_not_quoted(embedder: MiniLM) -> None:
    """Its votes are all in the header, which no row may claim."""
    context = Context((table("2004 | 8,100\n2005 | 9,200"), evidence("A year is long.")))
    attempt = compared(embedder, context, votes("Year"))
    assert [
        context.evidence[owner].text[one.start : one.end]
        for owner, one in zip(attempt.owner, attempt.findings, strict=True)
    ][2] == "year"
    for finding, (start, end) in zip(attempt.findings, attempt.spans, strict=True):
        assert start <= finding.start < finding.end <= end
    assert [finding.span for finding in attempt.findings] == [-4.0, -4.0, 8.0]
    assert quotes(answered(embedder, context, votes("Visitors"), threshold=0.0), context)[0][1] != HEADER


def test_a_header_that_is_quoted_itself_is_said_once(embedder: MiniLM) -> None:
    context = Context((table(f"{HEADER}\n2004 | 8,100"),))
    assert answered(embedder, context, votes("Visitors")).text == HEADER


def test_below_the_threshold_it_abstains(embedder: MiniLM, pool: Context) -> None:
    draft = answered(embedder, pool, votes("28", "degrees", loud=1.9))  # 2 * 1.9 - 2 * 2
    assert (draft.text, draft.supports, draft.abstained) == (ABSTENTION, (), True)
    assert draft.confidence == pytest.approx(1 / (1 + np.exp(0.2)), abs=1e-4)
    assert not answered(embedder, pool, votes("28", "degrees", loud=1.9), threshold=0.4).abstained
    assert answered(embedder, pool, votes("28", "degrees"), threshold=1.0).abstained


@pytest.mark.parametrize("texts", [("",), (" \n ", "")])
def test_evidence_without_words_is_no_answer(embedder: MiniLM, texts: tuple[str, ...]) -> None:
    context = Context(tuple(evidence(text, f"{i}.jpg", modality=Modality.IMAGE) for i, text in enumerate(texts)))
    draft = answered(embedder, context, votes("x"), threshold=0.01)
    assert (draft.text, draft.confidence, draft.abstained) == (ABSTENTION, 0.0, True)


@pytest.mark.parametrize("sign", [1.0, 0.0])
def test_a_sentence_without_tokens_is_never_infinite(embedder: MiniLM, sign: float) -> None:
    context = Context((evidence("It is heated to 28 degrees."), evidence("\u200b\ufeff", "empty.txt")))
    attempt = compared(embedder, context, votes("28"))
    assert len(attempt.findings) == 2 and np.isfinite(attempt.features).all()
    weights = QuoteWeights(tuple(sign * value for value in BY_SPAN.sentence), BY_SPAN.answer, 0.0, 0.0)
    assert quotes(answered(embedder, context, votes("28"), weights, 0.0), context)[0] == (
        0,
        "It is heated to 28 degrees.",
    )


def test_the_same_piece_twice_and_pictures_between(embedder: MiniLM, pool: Context) -> None:
    photo, heated = pool.evidence[3], pool.evidence[0]
    context = Context((photo, heated, photo, heated), {0: b"webp", 2: b"webp"})
    assert quotes(answered(embedder, context, votes("28", "degrees")), context)[0] == (1, "It is heated to 28 degrees.")
    caption = evidence("A chart of visitors. It peaks in June.", "chart.png", modality=Modality.IMAGE)
    context = Context((photo, caption), {0: b"webp", 1: b"webp"})
    assert quotes(answered(embedder, context, votes("June")), context) == [(1, "It peaks in June."), (1, "June")]


def test_a_citation_says_whether_it_bears_the_answer(tmp_path: Path) -> None:
    """With the shipped weights: without the cited chunk the decoder would not write what only that chunk says."""
    for name, text in (
        ("gate", "The south gate is 1.85 m wide in the clear."),
        ("wall", "The north wall is 3 m high and was mended in 1901."),
    ):
        (tmp_path / f"{name}.txt").write_text(text)
    build([tmp_path], tmp_path / "index")
    answer = RagPipeline.from_index(tmp_path / "index").ask("How wide is the south gate?")
    sentence, short = answer.citations
    assert sentence.document == short.document == str(tmp_path / "gate.txt") and "1.85 m" in short.quote
    assert sentence.ablation == short.ablation and short.ablation > 2


def test_a_chunk_is_read_under_the_opening_of_its_document(tmp_path: Path) -> None:
    """Of reports of one form, the passage with the cause does not say which accident it is of; the reader is told."""
    for place in ("Houston", "Seattle"):
        filler = " ".join(
            f"The weather at {hour} was calm and the sky was clear over the whole field." for hour in range(40)
        )
        (tmp_path / f"{place[::-1]}.txt").write_text(
            f"Location: {place}.\n\n{filler}\n\nThe cause was a late flare of the pilot.\n"
        )
    build([tmp_path], tmp_path / "index")
    index, embedder = Index(tmp_path / "index"), MiniLM()
    (place,) = open_tokenizer().encode("seattle", add_special_tokens=False).ids

    def compute(rows: Sequences) -> Computed:
        ids = rows.input_ids
        return Computed(
            np.zeros((*ids.shape, 2), np.float32),
            np.repeat(((ids == place) & (rows.token_type_ids == 1)).any(1)[:, None], 2, 1).astype(np.float32),
        )

    rows = [index.matching('"flare"', 10)[at][0] for at in (0, 1)]
    pieces = [
        evidence(chunk.text, chunk.locator.document, headings=chunk.headings) for chunk in index.chunks(rows).values()
    ]
    pieces = [
        replace(piece, locator=chunk.locator) for piece, chunk in zip(pieces, index.chunks(rows).values(), strict=True)
    ]
    query = understand("What was the cause at Seattle?")
    vector = embedder.encode_queries([query.text])[0]
    whole = gather(query, vector, pieces, index, ImageFeatures())
    attempt = compare(query, reading.read(query, whole, Reader(compute), len(pieces), math.inf), embedder)
    assert not any("Seattle" in piece.text for piece in pieces)
    judged = {
        attempt.evidence[owner].document: finding.answerable
        for owner, finding in zip(attempt.owner, attempt.findings, strict=True)
    }
    covered = sentence_features.SENTENCE_FEATURES.index("coverage_in_context")
    shared = {
        attempt.evidence[owner].document: row[covered]
        for owner, row in zip(attempt.owner, attempt.features, strict=True)
    }
    right, wrong = (str(tmp_path / f"{name[::-1]}.txt") for name in ("Seattle", "Houston"))
    assert (judged[right], judged[wrong]) == (1, 0)
    assert shared[right] > shared[wrong]


def test_rows_are_compared_with_those_of_their_chunk_and_not_with_the_header() -> None:
    def row(is_row: float, covered: float) -> list[float]:
        return [
            is_row * (name == "row") + covered * (name == "coverage") for name in sentence_features.SENTENCE_FEATURES
        ]

    rows = [row(1, 0.8), row(1, 0.0), row(1, 0.1), row(1, 0.4), row(0, 0.9), row(1, 0.2)]
    assert sentence_features.row_matches(rows, [0, 0, 0, 0, 1, 2], [True, *[False] * 5]) == [
        0.0,
        0.0,
        0.25,
        1.0,
        0.0,
        1.0,
    ]


def test_a_risk_picks_the_threshold_and_one_that_cannot_be_kept_is_refused() -> None:
    weights = replace(BY_SPAN, risks=((0.1, 0.8), (0.2, 0.6)))
    assert [weights.threshold_of(risk) for risk in (0.1, 0.15, 0.2, 1.0)] == [0.8, 0.8, 0.6, 0.6]
    with pytest.raises(ConfigError, match=r"risk 0.05 cannot be kept: the least that can is 0.1"):
        weights.threshold_of(0.05)
    with pytest.raises(ConfigError, match="not both"):
        RagConfig(threshold=0.5, risk=0.1)


def test_the_calibration_that_is_shipped_fits_its_features() -> None:
    fitted = calibration()
    assert len(fitted.embedded.sentence) == SENTENCE and len(fitted.embedded.answer) == ANSWER
    assert len(fitted.quote.sentence) == len(sentence_features.SENTENCE_FEATURES)
    assert len(fitted.pictures.weights) == len(picture_lookup.SHOWN_FEATURES)
    assert len(fitted.rerank.weights) == len(FEATURES) and fitted.reader == shipped_weights.describe().digest


@pytest.mark.parametrize("wrong", [
    {"format": 0}, {"fusion": None}, {"rerank": {"weights": ["x"]}}, {"embedded": {"sentence": [1]}}, {"pictures": 3},
])  # fmt: skip
def test_a_damaged_calibration_is_named(wrong: dict, tmp_path: Path) -> None:
    whole = json.loads(FILE.read_text())
    (tmp_path / "calibration.json").write_text(json.dumps(whole | wrong))
    with pytest.raises(WeightsError, match=r"calibration\.json"):
        calibration(tmp_path / "calibration.json")
    with pytest.raises(WeightsError, match="restore it"):
        calibration(tmp_path / "missing.json")


def test_an_adapter_is_asked_through_every_setting(index: Path, tmp_path: Path) -> None:
    """One that makes the reader sure of everything."""
    weights = {"memory.judge.weight": torch.zeros(2, 384), "memory.judge.bias": torch.full((2,), 9.0)}
    finetune.save(finetune.Tuned(weights, 0.0), "full", shipped_weights.describe().digest, {}, tmp_path / "own")
    plain, own = (
        RagPipeline.from_index(index, adapter=folder).ask("What does the mill grind?")
        for folder in ("", str(tmp_path / "own"))
    )
    assert own.confidence != plain.confidence and own.trace["settings"]["adapter"] == str(tmp_path / "own")
    with pytest.raises(ConfigError, match="adapter goes with reranking or the generator embedded"):
        RagPipeline.from_index(index, generator="quote", rerank=False, adapter=str(tmp_path / "own"))
    with pytest.raises(WeightsError, match="holds no adapter"):
        RagPipeline.from_index(index, adapter=str(tmp_path))


def test_a_budget_is_spent_on_the_best_evidence(tmp_path: Path) -> None:
    """The rest is compared with the question, and not read."""
    for name, text in (
        ("gate", "The south gate is 1.85 m wide in the clear."),
        ("wall", "The north wall is 3 m high and was mended in 1901."),
    ):
        (tmp_path / f"{name}.txt").write_text(text)
    index = tmp_path / "index"
    build([tmp_path], index)
    whole, little = (
        RagPipeline.from_index(index, budget=budget).ask("How wide is the south gate?").trace
        for budget in (None, 0.001)
    )
    assert whole["reading"]["blocks"] == {"live": 2, "skipped": 0} and little["reading"]["blocks"] == {
        "live": 1,
        "skipped": 1,
    }
    assert (
        little["generation"]["sentences"] == whole["generation"]["sentences"]
        and little["reading"]["cost"]["flops"] < whole["reading"]["cost"]["flops"]
    )
    with pytest.raises(ConfigError, match="above 0"):
        RagPipeline.from_index(index, budget=-1.0)


def test_a_quantised_reader_is_read_with(index: Path, tmp_path: Path) -> None:
    """Every answer of it has what an answer of the shipped one has, its ablation too."""
    quantise.main(["--method", "int8", "--out", str(tmp_path / "q")])
    plain, own = (
        RagPipeline.from_index(index, reader=folder).ask("What does the mill grind?")
        for folder in ("", str(tmp_path / "q"))
    )
    assert own.text == plain.text and own.citations[0].ablation is not None
    assert own.confidence == pytest.approx(plain.confidence, abs=0.1) and own.citations[0].ablation == pytest.approx(
        plain.citations[0].ablation, abs=1
    )
    with pytest.raises(ConfigError, match="reader goes with reranking or the generator embedded"):
        RagPipeline.from_index(index, generator="quote", rerank=False, reader=str(tmp_path / "q"))
    with pytest.raises(ConfigError, match="adapter or reader"):
        RagPipeline.from_index(index, adapter="a", reader=str(tmp_path / "q"))
    with pytest.raises(WeightsError, match="holds no GroundedForCausalLM"):
        RagPipeline.from_index(index, reader=str(tmp_path))
