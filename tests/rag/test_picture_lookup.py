"""Picture look-up: by the words beside a picture, and by what a reader says of it."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from samples_rag import evidence

from indexing.types import Modality
from models.reader.coordinates import BlockModality
from models.reader.flops import Cost
from models.reader.image_patches import PATCHES, WIDTH
from models.reader.types import Window
from rag.calibration import PictureWeights
from rag.image_features import ImageFeatures, likeness
from rag.lookups import picture_lookup
from rag.reading import SUREST
from rag.types import Context, Evidence, QueryStatistics, Reading
from rag.understand import asks_for_picture, to_be_shown


def picture(text: str) -> Evidence:
    return replace(evidence(text, "photo.jpg", modality=Modality.IMAGE), headings=("Summer",))


def window(passage: int, answerable: float, seen: float, *, live: bool = True) -> Window:
    return Window(
        passage, [], [], np.zeros((0, 2)), np.array([answerable, seen]), None, None, live, BlockModality.PAGE, Cost()
    )


def webp(colour: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, "WEBP")
    return content.getvalue()


RED = webp("red")
POOL = Context((evidence("The red gate."), picture("The red gate"), picture(""), picture("A pond in summer")), {2: RED})


def test_a_heading_over_a_figure_of_a_document_does_not_tell_what_it_shows() -> None:
    question = "Which diagram shows a neural network?"
    figure = evidence("A neuron.", "chapter.md", modality=Modality.IMAGE)
    figure = replace(figure, headings=("Linear regression as a neural network",))
    [found] = picture_lookup.candidates(question, Context((figure,)))
    assert found.words == 0 and found.features[-1] == 1
    [found] = picture_lookup.candidates(question, Context((replace(figure, document="neural network.png"),)))
    assert found.words == 1


def test_a_slide_is_shown_by_its_heading_where_one_is_asked_for() -> None:
    slide = replace(evidence("Bakers | 44 %", "talk.pptx"), headings=("Open day", "Where the flour went in 2023"))
    pool = Context((evidence("Flour went to bakers.", "a.txt"), slide))
    assert [one.at for one in picture_lookup.candidates("Which slide shows where the flour went?", pool)] == [1]
    assert picture_lookup.candidates("Which chart shows where the flour went?", pool) == []
    assert picture_lookup.title("Which slide shows where the flour went?", slide) == slide.headings[1]
    assert picture_lookup.title("Which slide shows the bakers?", slide) == "Bakers | 44 %"
    assert picture_lookup.title("Which slide shows the moon?", replace(slide, text="")) == slide.headings[1]


def read(*windows: Window) -> Context:
    """POOL as a reader and the tower left it."""
    readings = tuple(Reading(tuple(one for one in windows if one.passage == at)) for at in range(len(POOL.evidence)))
    images = ImageFeatures()
    statistics = QueryStatistics(np.ones(1), {}, 1, images.text_vector("photo of the red gate"))
    return replace(POOL, readings=readings, statistics=statistics, patches={2: images.patches(RED)})


def test_what_is_known_of_each_picture() -> None:
    unread = window(3, -math.inf, -math.inf, live=False)
    pool = read(window(0, 9, 9), window(1, -1, 2), window(1, 3, -99), window(2, 0.5, 1.5), unread)
    found = picture_lookup.candidates("photo of the red gate", pool)
    assert [(one.at, one.words) for one in found] == [(1, 1.0), (2, 0.0), (3, 0.0)]
    similarity = likeness(pool.statistics.image_vector, pool.patches[2])
    least = -SUREST
    assert [one.features for one in found] == [[3, 2, 0, 1], [0.5, 1.5, similarity, 0], [least, least, 0, 0]]
    assert similarity != 0
    assert picture_lookup.candidates("summer pond", POOL)[2].words == 1
    assert picture_lookup.candidates("red", Context(POOL.evidence[:1])) == []


def test_words_tell_a_picture_and_else_the_likeliest_is_shown() -> None:
    fitted, pool = PictureWeights((0.5, 0.5, 0.0, 1.0), 0.0), read(window(1, -4, -4), window(2, 4, 4))
    found = picture_lookup.candidates("the green door", pool)
    at, sure = picture_lookup.best(found, fitted)
    assert at == 2 and sure == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-4)
    assert picture_lookup.best(found, None) is None and picture_lookup.best([], fitted) is None
    worded = picture_lookup.candidates("the red gate", pool)
    assert picture_lookup.best(worded, None) == (1, 0.9) == picture_lookup.best(worded, fitted)


def test_a_picture_is_called_by_its_line_that_says_what_is_asked() -> None:
    text = "  Employee\n\nOffice of the Director \nOffice of Finance"
    expected = {"the director": "Office of the Director", "finance": "Office of Finance", "a pond": "Employee"}
    lines = {what: picture_lookup.line(f"Which chart shows {what}?", text) for what in expected}
    assert {what: text[slice(*span)] for what, span in lines.items()} == expected
    assert picture_lookup.line("Which chart shows a pond?", " \n") == (0, 0)


def test_a_picture_has_patches_and_what_is_none_has_not() -> None:
    images = ImageFeatures()
    features = images.patches(RED).features
    assert features.shape == (PATCHES, WIDTH) and features.dtype == np.float16
    assert np.linalg.norm(features.astype(np.float32).mean(0)) == pytest.approx(1, abs=0.1)
    assert images.patches(b"no picture") is None


@pytest.mark.parametrize(("question", "what"), [
    ("Which diagram shows the water cycle?", "the water cycle?"),
    ("photo of a red door", "a red door"),
    ("Show me the emoji of happy", "happy"),
    ("Do you have a picture of milk?", "milk?"),
])  # fmt: skip
def test_a_picture_is_asked_for(question: str, what: str) -> None:
    assert asks_for_picture(question) and to_be_shown(question).strip() == what


@pytest.mark.parametrize("question", [
    "The map of the harbour was drawn by whom?",
    "Which picture shows?",
    "Who took the photo of the gate?",
    "grinning face",
])  # fmt: skip
def test_no_picture_is_asked_for(question: str) -> None:
    assert not asks_for_picture(question)
