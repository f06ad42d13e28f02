"""Query, fusion, retriever: what is searched, how lists become one, what is left out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.build.run import build
from rag import RagPipeline
from rag.calibration import calibration
from rag.dates import days, years
from rag.retrieve import fusion
from rag.understand import LONGEST, match_expression, standalone, understand, words


def test_bm25_looks_for_each_word_once_without_stop_words() -> None:
    assert words("What is the height of the Height gauge?") == ["height", "gauge"]
    assert words("who is it") == ["who", "is", "it"]
    assert words("?!") == []
    assert match_expression(understand('the "tide mill" pond')) == '"tide" OR "mill" OR "pond" OR "tide mill"'
    assert len(words(" ".join(f"w{i}" for i in range(500)))) == LONGEST


@pytest.mark.parametrize(
    "text", ["17 August 2023", "on the 17th of August, 2023", "Aug. 17, 2023", "2023-08-17", "August 17th 2023"]
)
def test_a_day_is_found_in_every_spelling(text: str) -> None:
    assert days(text) == (date(2023, 8, 17),)
    assert '"2023 08 17"' in match_expression(understand(f"What happened {text}?"))
    assert '"17 august 2023"' in match_expression(understand(f"What happened {text}?"))


def test_years() -> None:
    assert years("FY2014, the season of 2021-22, 1953/54 and 12019 or 20140") == {2014, 2021, 2022, 1953, 1954}
    assert years("2023-08-17, 1999-00") == {2023, 1999} and not years(
        "1706.03762 IMG_2034 the 1930s, 2,000 W and 2000.5"
    )


def test_what_stands_under_another_year_is_not_said(tmp_path: Path) -> None:
    for year, kilos in (("2022", "779"), ("2023", "812")):
        (tmp_path / f"flour {year}.csv").write_text(
            f"Month,Sifted kg,Bran kg\nMay,846,269\nJune,{kilos},258\nJuly,857,261\n"
        )
    build([tmp_path], tmp_path / "index")
    rag = RagPipeline.from_index(tmp_path / "index")
    assert "812" in {cited.quote for cited in rag.ask("How many sifted kg in June 2023?").citations}
    assert rag.ask("How many sifted kg in June 2021?").abstained


def test_what_is_no_day_or_may_be_two_is_left_alone() -> None:
    assert days("31 June 2023, 03/04/2023, May 2023, 5 metres") == ()


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("And who built it?", "How old is the mill? And who built it?"),
        ("why?", "How old is the mill? why?"),
        ("What about the pumps?", "How old is the mill? What about the pumps?"),
        ("Which firm cast the north bearing?", "Which firm cast the north bearing?"),
    ],
)
def test_only_a_follow_up_carries_the_question_before_it(question: str, searched: str) -> None:
    assert standalone(question, ["How old is the mill?"]) == searched
    assert standalone(question, []) == question


def test_a_chain_of_follow_ups_reaches_back_to_its_first_question() -> None:
    assert (
        standalone("and its cat?", ["Where is the mill?", "who owns it?"])
        == "Where is the mill? who owns it? and its cat?"
    )


def channel_weights(words: int, ranked: dict, image_share: float = 0.0) -> dict[str, float]:
    return fusion.channel_weights(words, ranked, calibration().fusion, image_share)


scores = st.lists(st.floats(0.01, 50, allow_nan=False), min_size=1, max_size=15).map(
    lambda found: sorted(found, reverse=True)
)


@given(scores, scores, st.integers(1, 20))
def test_fusing_keeps_every_row_and_the_order_of_a_lone_channel(
    dense: list[float], bm25: list[float], count: int
) -> None:
    ranked = {"dense": list(enumerate(dense)), "bm25": [(100 - i, score) for i, score in enumerate(bm25)]}
    weights = channel_weights(count, ranked)
    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
    assert all(0 <= weight <= 1 for weight in weights.values())
    fused = fusion.fuse(ranked, weights)
    assert {row for row, _ in fused} == {row for hits in ranked.values() for row, _ in hits}
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)
    lone = {"dense": ranked["dense"], "bm25": []}
    assert channel_weights(count, lone) == {"dense": 1.0, "bm25": 0.0}
    alone = [score for _, score in fusion.fuse(lone, channel_weights(count, lone))]
    assert alone == sorted(alone, reverse=True)


def test_scores_are_compared_only_inside_their_list() -> None:
    ranked = {"dense": [(1, 0.9), (2, 0.1)], "bm25": [(2, 30.0), (1, 10.0)]}
    scaled = {"dense": ranked["dense"], "bm25": [(row, 7 * score) for row, score in ranked["bm25"]]}
    half = {"dense": 0.5, "bm25": 0.5}
    assert fusion.fuse(ranked, half) == fusion.fuse(scaled, half) == [(1, 0.5), (2, 0.5)]
    assert fusion.fuse(ranked, {"dense": 0.6, "bm25": 0.4}) == [(1, 0.6), (2, 0.4)]


def test_a_steeper_dense_list_counts_more() -> None:
    flat = [(i, 0.5 - 0.001 * i) for i in range(10)]
    steep = [(i, 0.8 - 0.05 * i) for i in range(10)]
    bm25 = [(i, 9.0 - 0.1 * i) for i in range(10)]
    assert (
        channel_weights(4, {"dense": steep, "bm25": bm25})["dense"]
        > channel_weights(4, {"dense": flat, "bm25": bm25})["dense"]
    )


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> RagPipeline:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.txt").write_text("The heron stands in the mill pond at dawn and waits for eels.")
    (folder / "copy of a.txt").write_text("The heron stands in the mill pond at dawn, and waits for eels.")
    (folder / "b.txt").write_text("A kingfisher dives from the sluice gate.")
    (folder / "c.txt").write_text("Part number WM-4711 is a bronze bush.")
    for year, sacks in ((2021, 140), (2022, 155)):
        (folder / f"{year}.txt").write_text(
            f"In the year {year} the mill sold {sacks} sacks of flour to the bakers of the town and the islands."
        )
    build([folder], folder / "index")
    return RagPipeline.from_index(folder / "index")


def test_near_duplicates_collapse(rag: RagPipeline) -> None:
    found = [Path(hit.document).name for hit in rag.search("heron in the pond", 10)]
    assert found[0] in {"a.txt", "copy of a.txt"}
    assert len(found) == 5


def test_of_documents_of_one_form_the_one_that_the_question_names_is_found(tmp_path: Path) -> None:
    causes = {
        "Alton": "a gust of wind",
        "Belen": "ice on the wings",
        "Madill": "a late flare",
        "Seward": "an empty tank",
    }
    for place, cause in causes.items():
        finding = f"The board finds the probable cause to be {cause}."
        text = f"# Accident report\n\nLocation: {place}. Aircraft: Cessna 152.\n\n## Cause\n\n{finding}\n"
        (tmp_path / f"{cause[-4:]}.md").write_text(text)
    build([tmp_path], tmp_path / "index")
    rag = RagPipeline.from_index(tmp_path / "index")
    for place, cause in causes.items():
        found = [
            hit.text
            for hit in rag.search(f"What was the probable cause of the accident at {place}?")
            if "cause" in hit.text
        ]
        assert cause in found[0]
        assert len(found) == 4


def test_texts_that_differ_in_a_figure_are_no_duplicates(rag: RagPipeline) -> None:
    assert {Path(hit.document).name for hit in rag.search("sacks of flour sold to bakers", 2)} == {
        "2021.txt",
        "2022.txt",
    }


def test_every_hit_tells_its_channels_and_a_channel_can_be_asked_alone(rag: RagPipeline) -> None:
    best = rag.search("WM-4711")[0]
    assert (Path(best.document).name, best.channels["bm25"].rank) == ("c.txt", 1)
    lone = rag.search("WM-4711", channels=("bm25",))
    assert [set(hit.channels) for hit in lone] == [{"bm25"}]
    assert all(set(hit.channels) == {"dense"} for hit in rag.search("bird", channels=("dense",)))


def test_k_is_kept_and_strange_questions_find_what_there_is(rag: RagPipeline) -> None:
    assert len(rag.search("heron", 1)) == 1
    assert rag.search("heron", 0) == ()
    assert len(rag.search("heron", 500)) == 5
    assert rag.search("") == rag.search("   ") == ()
    for question in ('"', "NEAR(", "a AND", "*", "heron" * 5000, "\0", "🦆", "'; DROP TABLE chunks; --"):
        assert all(hit.text for hit in rag.search(question))


def test_the_same_question_finds_the_same(rag: RagPipeline) -> None:
    assert rag.search("bird at the water") == rag.search("bird at the water")
