"""python -m indexing SRC [SRC...] --index DIR, and `status`, `remove DOC`, `verify` over an index."""

from __future__ import annotations

import argparse
import json
import os
import sys

from indexing.command import positive, run

EXIT_FAILURES = 3  # some files failed, the rest is indexed
COMMANDS = ("status", "remove", "verify")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments[0] if arguments and arguments[0] in COMMANDS else None).parse_args(arguments)
    return run(lambda: options.run(options))


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m indexing", description="Index documents and pictures.",
        epilog="Also: `python -m indexing status|remove DOC|verify --index DIR`. Exit: 0 all well, 3 some files failed, 2 wrong usage.",
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
    parser.add_argument("--embedder", metavar="NAME_OR_PATH", help="any sentence-transformers model (default: all-MiniLM-L6-v2)")
    parser.add_argument(
        "--image-model", metavar="NAME", help="what pictures are embedded with: MODEL/PRETRAINED of open_clip, hf-hub:NAME, a folder (default: folio-tower)"
    )
    allowed = os.environ.get("FOLIO_DOWNLOAD") == "1"
    parser.add_argument("--download", action="store_true", default=allowed, help="fetch models that are not on this machine")
    parser.add_argument("--prune", action="store_true", help="forget files below SRC that are gone")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--workers", type=positive, metavar="N", help="processes that read files (default: half of the cores)")
    parser.add_argument("--timeout", type=positive, default=60, metavar="S", help="give a file up after so many seconds without progress")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=_index)
    return parser


def _index(options: argparse.Namespace) -> int:
    from indexing.build.run import Progress, build

    bar = None

    def show(progress: Progress) -> None:
        nonlocal bar
        if bar is None:
            from tqdm import tqdm

            bar = tqdm(total=progress.of, unit="file", disable=options.no_progress or not progress.of, file=sys.stderr)
        bar.set_postfix(documents=progress.documents, chunks=progress.chunks, refresh=False)
        bar.update(progress.files - bar.n)

    try:
        summary = build(
            options.sources, options.index, embedder=options.embedder, image_model=options.image_model, prune=options.prune, dry_run=options.dry_run,
            workers=options.workers, quiet=options.timeout, download=options.download, progress=show,
        )
    finally:
        if bar is not None:
            bar.close()
    if summary.note:
        print(f"note: {summary.note}", file=sys.stderr)
    if options.json:
        print(json.dumps(summary.to_json(), ensure_ascii=False))
    else:
        verb = "would be " if options.dry_run else ""
        counts = [f"{getattr(summary, name)} {name}" for name in ("added", "changed", "unchanged", "removed")]
        print(f"documents: {verb}{', '.join(counts)}, {len(summary.failures)} failed; {summary.chunks} chunks; {summary.seconds:.1f} s")
        for failure in summary.failures:
            print(f"failed: {failure.path}: {failure.reason}")
        if not summary.chunks and not options.dry_run:
            print("the index is empty: nothing readable was found")
    return EXIT_FAILURES if summary.failures else 0


def _status(options: argparse.Namespace) -> int:
    from indexing.index import IndexReader

    status = IndexReader(options.index).status()
    if options.json:
        print(json.dumps(status.to_json(), ensure_ascii=False))
        return 0
    print(f"{status.index}: {status.documents} documents of {len(status.files)} files, {status.chunks} chunks, {status.failed} failed; embedder {status.embedder}")
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
