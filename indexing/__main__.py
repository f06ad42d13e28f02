"""python -m indexing SRC [SRC...] --index DIR, and `status`, `remove DOC`, `verify` over an index."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from indexing.command import positive, run

if TYPE_CHECKING:
    from indexing.build.summary import Summary

EXIT_FAILURES = 3  # some files failed, the rest is indexed
COMMANDS = ("status", "remove", "verify")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments[0] if arguments and arguments[0] in COMMANDS else None).parse_args(arguments)
    return run(lambda: options.run(options))


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m indexing", description="Index documents and pictures.",
        epilog="Also: `python -m indexing status|remove DOC|verify --index DIR`. "
        "Exit: 0 all well, 3 some files failed, 2 wrong usage.",
    )
    if command:
        parser.add_argument("command", choices=COMMANDS)
    if command == "remove":
        parser.add_argument("document", help="its name as `status` shows it")
    parser.add_argument("--index", required=True, metavar="DIR", help="the index directory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    if command:
        parser.set_defaults(run={"status": _status, "remove": _remove, "verify": _verify}[command])
        return parser
    parser.add_argument("sources", nargs="+", metavar="SRC", help="a file or a folder")
    add = parser.add_argument
    add("--embedder", metavar="NAME_OR_PATH", help="any sentence-transformers model (default: all-MiniLM-L6-v2)")
    add("--image-model", metavar="NAME", help="embedder of pictures: MODEL/PRETRAINED of open_clip, hf-hub:NAME, "
        "a folder (default: folio-tower)")
    allowed = os.environ.get("FOLIO_DOWNLOAD") == "1"
    add("--download", action="store_true", default=allowed, help="fetch models that are not on this machine")
    add("--prune", action="store_true", help="remove files below SRC that are gone from the index")
    add("--dry-run", action="store_true", help="only say what would be done")
    add("--workers", type=positive, metavar="N", help="processes that read files (default: half of the cores)")
    add("--timeout", type=positive, default=60, metavar="S", help="seconds without progress, after which a file fails")
    add("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=_index)
    return parser


def _index(options: argparse.Namespace) -> int:
    from indexing.build.run import Progress, build

    bar = None

    def show(progress: Progress) -> None:
        nonlocal bar
        if bar is None:
            from tqdm import tqdm

            disable = options.no_progress or not progress.of
            bar = tqdm(total=progress.of, unit="file", disable=disable, file=sys.stderr)
        bar.set_postfix(documents=progress.documents, chunks=progress.chunks, refresh=False)
        bar.update(progress.files - bar.n)

    try:
        summary = build(
            options.sources, options.index, embedder=options.embedder, image_model=options.image_model,
            prune=options.prune, dry_run=options.dry_run, workers=options.workers, quiet=options.timeout,
            download=options.download, progress=show,
        )
    finally:
        if bar is not None:
            bar.close()
    if summary.note:
        print(f"note: {summary.note}", file=sys.stderr)
    if options.json:
        print(json.dumps(summary.to_json(), ensure_ascii=False))
    else:
        _print(summary, options.dry_run)
    return EXIT_FAILURES if summary.failures else 0


def _print(summary: Summary, dry_run: bool) -> None:
    verb = "would be " if dry_run else ""
    counts = [f"{getattr(summary, name)} {name}" for name in ("added", "changed", "unchanged", "removed")]
    counts.append(f"{len(summary.failures)} failed")
    print(f"documents: {verb}{', '.join(counts)}; {summary.chunks} chunks; {summary.seconds:.1f} s")
    for failure in summary.failures:
        print(f"failed: {failure.path}: {failure.reason}")
    if not summary.chunks and not dry_run:
        print("the index is empty: nothing readable was found")


def _status(options: argparse.Namespace) -> int:
    from indexing.index import Index
    from indexing.status import status_of

    status = status_of(Index(options.index))
    if options.json:
        print(json.dumps(status.to_json(), ensure_ascii=False))
        return 0
    documents = f"{status.documents} documents of {len(status.files)} files"
    counts = f"{documents}, {status.chunks} chunks, {status.failed} failed"
    print(f"{status.index}: {counts}; embedder {status.embedder}")
    if not status.chunks:
        print("the index is empty")
    for file in status.files:
        print(f"{file.status:8} {file.chunks:6} chunks  {file.name}" + (f"  ({file.reason})" if file.reason else ""))
    return 0


def _remove(options: argparse.Namespace) -> int:
    from indexing.build.upkeep import remove

    count = remove(options.index, options.document)
    print(json.dumps({"removed": count}) if options.json else f"removed {count} document{'s' * (count != 1)}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from indexing.build.verify import verify

    problems = verify(options.index)
    if options.json:
        print(json.dumps({"ok": not problems, "problems": problems}, ensure_ascii=False))
    else:
        print("\n".join(problems) if problems else "the index is sound")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
