import pytest
from samples_rag import evidence

from indexing.types import Modality
from rag.types import Context


@pytest.fixture
def pool() -> Context:
    """Three sources: the pool, the roof, a table; the fourth is a photograph without words."""
    return Context(
        (
            evidence(
                "The pool opens at 9 a.m. on weekdays. It is heated to 28 degrees. Children under 12 pay nothing."
            ),
            evidence("The roof was mended in 2005. Dr. Lang paid 12,500 euros for it.", "roof.txt"),
            evidence("Year | Visitors\n2004 | 8,100\n2005 | 9,200", "visitors.csv", modality=Modality.TABLE),
            evidence("", "photo.jpg", modality=Modality.IMAGE),
        )
    )
