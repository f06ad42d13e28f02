"""What holds for every Document, whatever it was read from."""

from __future__ import annotations

from indexing.chunking import chunk
from indexing.types import Block, BlockKind, Chunk, Document, Modality


def check(document: Document) -> None:
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        assert document.text[block.start : block.end].strip()
        end = block.end
    assert document.text.encode("utf-8") is not None  # no lone surrogates
    assert "\0" not in document.text
    end = 0
    for page in document.pages:
        assert end <= page.start <= page.end <= len(document.text)
        end = page.end
        assert not any(b.start < page.end < b.end or b.start < page.start < b.end for b in document.blocks)
        if page.words is None:
            continue
        last = page.start
        for start, stop, box in zip(page.words.starts, page.words.ends, page.words.boxes, strict=True):
            assert last <= start < stop <= page.end
            word = document.text[start:stop]
            assert word == "".join(word.split()) != ""
            assert 0 <= box[0] <= box[2] <= 1 and 0 <= box[1] <= box[3] <= 1
            last = stop


def parts(document: Document, kind: BlockKind | None = None) -> list[str]:
    return [text_of(document, b) for b in document.blocks if kind in (None, b.kind)]


def kinds(document: Document) -> list[tuple[str, str]]:
    return [(b.kind.value, text_of(document, b)) for b in document.blocks]


def chunks_of(document: Document, modality: Modality) -> list[Chunk]:
    """Its chunks of a modality; a token is a word."""
    chunks = chunk(document, "a.pdf", lambda texts: [len(text.split()) for text in texts], 256)
    return [one for one in chunks if one.modality is modality]


def text_of(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]
