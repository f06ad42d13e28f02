"""Hand-made evidence for the tests of this folder."""

from indexing.types import Locator
from rag.types import ChannelRank, Evidence


def evidence(text: str, name: str = "manual.md", **more) -> Evidence:
    return Evidence(
        chunk_id=f"{name}:{len(text)}", document=name, page=None, text=text, score=1.0,
        channels={"bm25": ChannelRank(1, 1.0)}, locator=Locator(name, None, 0, len(text)), **more,
    )  # fmt: skip
