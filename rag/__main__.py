"""python -m rag search | ask "QUESTION" --index DIR, and python -m rag replay FILE.json --index DIR"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.command import positive, run
from rag.generators import USAGE

if TYPE_CHECKING:
    from rag.types import Answer, Citation, Evidence

# flags of ask
SETTINGS = ("embedder", "generator", "rerank", "threshold", "risk", "budget", "adapter", "reader", "download")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return run(lambda: options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rag", description="Search an index, ask it, or ask it again.")
    commands = parser.add_subparsers(required=True, metavar="search | ask | replay")
    search = commands.add_parser("search", help="the chunks that fit a question")
    search.add_argument("-k", type=positive, default=10, metavar="N", help="how many (default 10)")
    search.add_argument("--image", type=Path, metavar="FILE", help="a picture: find what looks like it")
    search.add_argument("--rerank", action="store_true", help="let the reader order the first results anew")
    search.set_defaults(run=_search)
    ask = commands.add_parser("ask", help="an answer with its sources")
    ask.add_argument(
        "--file", action="append", default=[], type=Path, metavar="FILE",
        help="a picture or document to ask about, beside the index and for this question alone; repeat for more",
    )
    ask.add_argument("--generator", metavar="NAME", help=f"{USAGE} (default embedded)")
    ask.add_argument("--threshold", type=float, metavar="P", help="least confidence of an answer, 0..1")
    ask.add_argument("--risk", type=float, metavar="R", help="instead: the share of answers that may be wrong")
    no_rerank = {"dest": "rerank", "action": "store_false", "default": None}
    ask.add_argument("--no-rerank", **no_rerank, help="keep the order of retrieval")
    ask.add_argument("--budget", type=float, metavar="N", help="thousand million operations that reading may cost")
    ask.add_argument("--adapter", metavar="DIR", help="an adapter that python -m models.training.finetune wrote")
    ask.add_argument("--reader", metavar="DIR", help="a model in torch to read with instead of the shipped reader")
    ask.set_defaults(run=_ask)
    search.add_argument("question", nargs="?", default="")
    ask.add_argument("question")
    for command in (search, ask):
        command.add_argument("--embedder", metavar="NAME", help="must be the index's own, which is the default")
        command.add_argument(
            "--filter", action="append", default=[], metavar="EXPR",
            help="path=GLOB, type=pdf, date>=2024-05, date<=2024-05-31 (the file's date); repeat to narrow",
        )
        command.add_argument("--download", action="store_true", default=None, help="fetch models that are not here")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    replay = commands.add_parser("replay", help="ask a saved answer again; exit 0 for the same answer, 1 for another")
    replay.add_argument("file", type=Path, metavar="FILE.json", help="what `ask --json` printed")
    replay.set_defaults(run=_replay)
    for command in (search, ask, replay):
        command.add_argument("--index", required=True, metavar="DIR")
    return parser


def _search(options: argparse.Namespace) -> int:
    from indexing.filters import Filter
    from rag.pipeline import RagPipeline

    settings = {name: getattr(options, name) for name in ("embedder", "rerank", "download")}
    rag = RagPipeline.from_index(options.index, generator="quote", **settings)
    only = Filter.parse(options.filter)
    results = rag.search(options.question, options.k, only=only, image=options.image, rerank=options.rerank)
    if options.json:
        print(json.dumps({"results": [hit.to_json() for hit in results]}, ensure_ascii=False))
        return 0
    for number, hit in enumerate(results, 1):
        print(f"{number}. {_place(hit)}  [{_ranks(hit)}]\n   {_shorten(hit.text)}\n")
    if not results:
        print("the index is empty" if not rag.index.count() else "nothing found")
    return 0


def _ask(options: argparse.Namespace) -> int:
    from indexing.filters import Filter
    from rag.conversation import ask_about
    from rag.pipeline import RagPipeline

    settings = {name: getattr(options, name) for name in SETTINGS}
    rag = RagPipeline.from_index(options.index, **settings)
    only = Filter.parse(options.filter)
    asked = {"question": options.question, "only": only}
    answer = ask_about(rag, files=options.file, **asked) if options.file else rag.ask(**asked)
    if options.json:
        print(json.dumps(answer.to_json(), ensure_ascii=False))
    else:
        print(_told(answer, empty=not (rag.index.count() or options.file)))
    return 0


def _replay(options: argparse.Namespace) -> int:
    from rag.replay import read, replay

    differences = replay(read(options.file), options.index)
    print("\n".join(differences) or "the same answer")
    return 1 if differences else 0


def _told(answer: Answer, empty: bool) -> str:
    """An answer as the terminal shows it."""
    lines = [answer.text]
    if empty:
        lines.append("(the index is empty)")
    if not answer.abstained:
        lines[0] += f"\n\nconfidence {answer.confidence:.2f}"
    for number, citation in enumerate(answer.citations, 1):
        lines.append(f"[{number}] {_place(citation)}: “{_shorten(citation.quote)}”")
    if answer.abstained and answer.evidence:
        lines.append("closest passages:")
        lines += [f"  - {_place(evidence)}: {_shorten(evidence.text)}" for evidence in answer.evidence[:3]]
    return "\n".join(lines)


def _place(item: Evidence | Citation) -> str:
    return item.document + (f", page {item.page}" if item.page else "")


def _ranks(hit: Evidence) -> str:
    return ", ".join(f"{name} {found.rank}" for name, found in hit.channels.items())


def _shorten(text: str, width: int = 240) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rsplit(" ", 1)[0] + "…"


if __name__ == "__main__":
    sys.exit(main())
