"""Opens, draws and reads pictures and pages in worker processes with a budget, for whoever answers or shows.

In: a file or its bytes. Out: pixels, WebP, or words. What crashes a decoder, or costs it more than its budget of time
and memory, is a PictureError of one line. Workers stay, so that only the first call pays for a start.
"""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexing.build import messages
from indexing.build.processes import MEMORY, Worker, limit_time, serve
from vision.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

WORKERS = 2  # so that one hard picture does not keep all others waiting
DRAW_SECONDS = 60  # of computing, for a page or a picture; one of 120 megapixels, the most allowed, takes some 10
READ_SECONDS = 120  # of computing, for the words on a picture
PATIENCE = 3  # times as many seconds by the clock, for a busy machine, and for a file that never ends


@dataclass(frozen=True, slots=True)
class DrawPage:
    """Page `number` (from 1) of a PDF file as WebP."""

    path: str
    number: int
    seconds: float = DRAW_SECONDS


@dataclass(frozen=True, slots=True)
class Open:
    """A picture file, or the bytes of one, as upright RGB."""

    path: str
    content: bytes = b""
    seconds: float = DRAW_SECONDS


@dataclass(frozen=True, slots=True)
class ReadWords:
    """The words on a picture."""

    picture: Drawn
    seconds: float = READ_SECONDS


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture: WebP, or rows of RGB pixels."""

    content: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Words:
    """The words of each line on a picture, in reading order."""

    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing came of a request, in one line."""

    reason: str


Request = DrawPage | Open | ReadWords


@lru_cache(maxsize=32)
def pdf_page_webp(path: Path, modified: float, number: int) -> tuple[bytes, int, int]:
    """Page `number` of a PDF file as WebP, with its width and height in pixels; the last ones drawn are cached.

    modified: the file's date, so that a file that was written anew is drawn anew. Raises PictureError.
    """
    drawn = _pool.run(DrawPage(str(path.absolute()), number))
    return drawn.content, drawn.width, drawn.height


def open_picture(source: Path | bytes) -> Image:
    """A picture file, an SVG too where its name says so, as upright RGB. Raises PictureError."""
    from PIL import Image

    drawn = _pool.run(Open("", source) if isinstance(source, bytes) else Open(str(source.absolute())))
    return Image.frombytes("RGB", (drawn.width, drawn.height), drawn.content)


def words_on(image: Image) -> list[str]:
    """The words that stand on an RGB picture, as far as they can be trusted. Raises PictureError."""
    words = _pool.run(ReadWords(Drawn(image.tobytes(), *image.size)))
    return [word for line in words.lines for word in line]


class _Pool:
    """At most WORKERS processes, started when they are needed. Thread-safe."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(WORKERS)
        self._idle: list[Worker] = []
        atexit.register(self.close)

    def run(self, request: Request) -> Any:
        """The answer to a request. Raises PictureError."""
        with self._free:
            worker = self._idle.pop() if self._idle else Worker("indexing.picture_worker")
            late = threading.Event()

            def stop() -> None:
                late.set()
                worker.stop()

            clock = threading.Timer(PATIENCE * request.seconds, stop)
            clock.start()
            try:
                worker.send(request)
                answer = worker.receive((Drawn, Words, Refused))
            except BaseException:  # Ctrl+C: what the worker says later is no answer to the next request
                worker.stop()
                raise
            finally:
                clock.cancel()
            if answer is not None:
                self._idle.append(worker)
        if answer is None:
            cause = "took too long" if late.is_set() else worker.cause_of_death()
            raise PictureError(f"not a readable picture: its reader {cause}")
        if isinstance(answer, Refused):
            raise PictureError(answer.reason)
        return answer

    def close(self) -> None:
        while self._idle:
            self._idle.pop().stop()


_pool = _Pool()


def _serve() -> None:
    """The worker's side: until the pipe ends, do what is asked."""
    requests, out = serve()
    while True:
        try:
            request = messages.read(requests, (DrawPage, Open, ReadWords))
        except EOFError:
            return
        limit_time(request.seconds)
        try:
            answer = _answer(request)
        except (PictureError, OSError) as error:
            answer = Refused(next(iter(str(error).splitlines()), "not a readable picture"))
        except MemoryError:
            answer = Refused(f"needs more than {MEMORY >> 30} GB of memory to draw")
        messages.write(out, answer)


def _answer(request: Request) -> Drawn | Words:
    import io

    from PIL import Image

    from vision import images, pages, svg

    if isinstance(request, DrawPage):
        page = pages.render_pdf_page(Path(request.path), request.number, longest=images.PREVIEW)
        return Drawn(images.encode(page, images.PREVIEW), *page.size)
    if isinstance(request, Open):
        path = Path(request.path)
        if not request.path:
            picture = images.first_frame(io.BytesIO(request.content))
        elif path.suffix.lower() == ".svg":
            picture = images.to_rgb(svg.rendered(path.read_bytes(), images.PREVIEW))
        else:
            picture = images.first_frame(path)
        return Drawn(picture.tobytes(), *picture.size)
    from indexing.loaders.images.ocr_lines import inscription

    given = request.picture
    image = Image.frombytes("RGB", (given.width, given.height), given.content)
    return Words(tuple(tuple(text for text, _, _ in line) for line in inscription(image)))


if __name__ == "__main__":
    _serve()
