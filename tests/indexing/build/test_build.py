"""Building an index: what a run adds, changes and removes, and what survives faults. With the real embedder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from indexing.build.run import Summary, build
from indexing.build.sources import SourceError
from indexing.build.upkeep import remove
from indexing.build.verify import verify
from indexing.embedder import EmbedderError, open_embedder
from indexing.filters import Filter, FilterError
from indexing.index import Index
from indexing.status import file_list
from indexing.stores import ann
from indexing.stores.sqlite import Store, StoreError

ROOT = Path(__file__).parents[3]
WHEEL = "The wheel turns at six revolutions a minute."
CATS = "# Cats\n\nThe mill cat is called Thistle.\n\n## Food"


def counts(summary: Summary) -> tuple[int, int, int, int, int]:
    return summary.added, summary.changed, summary.unchanged, summary.removed, len(summary.failures)


def found(index: Path, question: str, k: int = 3, only: Filter | None = None) -> list[str]:
    """The documents of the nearest chunks."""
    reader = Index(index)
    hits = reader.nearest(open_embedder().encode_queries([question])[0], k, only)
    chunks = reader.chunks([row for row, _ in hits])
    return [chunks[row].locator.document for row, _ in hits]


def words(index: Path, expression: str, only: Filter | None = None) -> set[str]:
    reader = Index(index)
    hits = reader.matching(expression, 10, only)
    return {chunk.locator.document for chunk in reader.chunks([row for row, _ in hits]).values()}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "mill.txt").write_text(f"{WHEEL}\n\nThe pond holds nine thousand cubic metres.")
    (folder / "deep" / "cats.md").write_text(f"{CATS}\n\nShe eats mackerel.\n")
    lines = [{"_id": f"r{i}", "title": f"Record {i}", "text": f"Lantern number {i} burns whale oil."} for i in range(5)]
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


def test_a_second_run_changes_nothing(sources: Path, index: Path) -> None:
    first = build([sources], index)
    assert counts(first) == (7, 0, 0, 0, 0)
    assert first.chunks == 8
    before = {path.name: path.read_bytes() for path in index.glob("text-*")}
    second = build([sources], index)
    assert counts(second) == (0, 0, 7, 0, 0)
    assert second.chunks == first.chunks
    assert {path.name: path.read_bytes() for path in index.glob("text-*")} == before
    assert verify(index) == []
    assert found(index, "how fast does the wheel turn?", 1) == [f"{sources}/mill.txt"]
    assert found(index, "lantern 3", 5)[0].startswith(f"{sources}/records.jsonl#r")


def test_a_changed_file_replaces_its_chunks_and_keeps_the_others(sources: Path, index: Path) -> None:
    build([sources], index)
    reader = Index(index)
    rows = {chunk.text: row for row, chunk in reader.chunks(range(1, 20)).items()}
    (sources / "mill.txt").write_text(f"{WHEEL}\n\nThe pond was drained.")
    (sources / "deep" / "cats.md").write_text(f"{CATS}\n\nShe eats herring now.\n")
    assert counts(build([sources], index)) == (0, 2, 5, 0, 0)
    assert words(index, '"drained"') == {f"{sources}/mill.txt"}
    assert words(index, '"mackerel"') == words(index, '"nine thousand"') == set()
    kept = {chunk.text: row for row, chunk in reader.chunks(range(1, 20)).items()}
    assert kept["The mill cat is called Thistle."] == rows["The mill cat is called Thistle."]
    assert verify(index) == []


def report(place: str) -> str:
    return f"# Report\n\nThe accident happened at {place}.\n\n## Cause\n\nThe pilot flared too late.\n"


def test_a_chunk_is_found_by_the_beginning_of_its_document(sources: Path, index: Path) -> None:
    file = sources / "report.md"
    file.write_text(report("Madill"))
    build([file], index)
    assert words(index, '"madill" AND "flared"') == {str(file)}
    assert words(index, 'text : ("madill" AND "flared")') == set()
    assert Index(index).word_counts(["madill"]) == {"madill": 1}, "openings of documents do not count"


def test_a_chunk_that_stays_follows_the_new_beginning_of_its_document(sources: Path, index: Path) -> None:
    file = sources / "report.md"
    for place in ("Madill", "Alton!"):  # of one length: the text below keeps its place, and so its id
        file.write_text(report(place))
        build([file], index)
    assert words(index, '"alton" AND "flared"') == {str(file)}
    assert words(index, '"madill"') == set()
    assert verify(index) == []
    remove(index, str(file))
    assert words(index, '"alton" OR "flared"') == set()


def test_an_index_of_another_format_is_refused_for_reading_and_writing(sources: Path, index: Path) -> None:
    build([sources], index)
    with Store(index) as store:
        store.set_meta("version", "1")
    for door in (lambda: Index(index), lambda: build([sources], index)):
        with pytest.raises(StoreError, match=r"format 1, this Folio reads format 3: index its sources again"):
            door()


def test_a_touched_file_is_unchanged_and_a_lying_clock_is_seen_through(sources: Path, index: Path) -> None:
    build([sources], index)
    os.utime(sources / "mill.txt", (1, 1))
    assert counts(build([sources], index)) == (0, 0, 7, 0, 0)
    old = (sources / "mill.txt").stat()
    (sources / "mill.txt").write_text((sources / "mill.txt").read_text().replace("wheel", "motor"))  # the same size
    os.utime(sources / "mill.txt", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert counts(build([sources], index)) == (0, 1, 6, 0, 0)
    assert words(index, '"motor"') == {f"{sources}/mill.txt"}


def test_a_line_that_goes_takes_its_document_along(sources: Path, index: Path) -> None:
    build([sources], index)
    lines = (sources / "records.jsonl").read_text().splitlines()
    (sources / "records.jsonl").write_text("\n".join([*lines[1:], json.dumps({"_id": "new", "text": "Gas light."})]))
    assert counts(build([sources], index)) == (1, 0, 6, 1, 0)
    assert Index(index).documents.text(f"{sources}/records.jsonl#r0") == ""


def test_vanished_files_go_only_when_asked_and_only_below_the_sources(
    sources: Path, index: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("Elsewhere.")
    build([sources, other], index)
    (sources / "mill.txt").unlink()
    other.unlink()
    assert counts(build([sources], index)) == (0, 0, 6, 0, 0)
    assert words(index, '"wheel"') == {f"{sources}/mill.txt"}
    assert counts(build([sources], index, prune=True)) == (0, 0, 6, 1, 0)
    assert words(index, '"wheel"') == set()
    assert words(index, '"elsewhere"') == {str(other)}


def test_a_dry_run_tells_and_writes_nothing(sources: Path, index: Path) -> None:
    assert counts(build([sources], index, dry_run=True)) == (3, 0, 0, 0, 0)
    assert not index.exists()
    build([sources], index)
    (sources / "mill.txt").unlink()
    (sources / "deep" / "cats.md").write_text("# Dogs")
    assert counts(build([sources], index, dry_run=True, prune=True)) == (0, 1, 1, 1, 0)
    assert words(index, '"wheel"')


def test_bad_files_are_a_line_each_and_the_rest_is_indexed(sources: Path, index: Path) -> None:
    (sources / "empty.txt").write_text("")
    (sources / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    (sources / "loop.txt").symlink_to("loop.txt")
    (sources / "gone.txt").symlink_to("nowhere.txt")
    os.mkfifo(sources / "pipe.txt")
    (sources / "circle").symlink_to(sources)
    (sources / "program.exe").write_bytes(b"MZ\0\0\0")
    (sources / ".hidden.txt").write_text("secret")
    with (sources / "sparse.txt").open("wb") as file:
        file.truncate(2 << 30)
    summary = build([sources], index)
    assert counts(summary)[0] == 7
    assert sorted(Path(failure.path).name for failure in summary.failures) == [
        "broken.pdf", "empty.txt", "gone.txt", "loop.txt", "pipe.txt", "sparse.txt",
    ]
    assert all(failure.reason and "\n" not in failure.reason for failure in summary.failures)
    failed = {file.name for file in file_list(Index(index)) if file.status == "failed"}
    assert failed == {failure.path for failure in summary.failures}
    again = build([sources], index)
    assert len(again.failures) == 6
    assert counts(again)[2] == 7
    (sources / "empty.txt").write_text("Full.")
    assert counts(build([sources], index)) == (1, 0, 7, 0, 5)


def test_a_file_that_breaks_keeps_what_was_read_of_it(sources: Path, index: Path) -> None:
    build([sources], index)
    (sources / "mill.txt").write_bytes(b"")
    (failure,) = build([sources], index).failures
    assert "stays searchable" in failure.reason
    assert words(index, '"wheel"') == {f"{sources}/mill.txt"}


def test_a_missing_source_is_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        build([tmp_path / "nowhere"], index)
    assert not index.exists()


def test_one_run_at_a_time(sources: Path, index: Path) -> None:
    with Store(index), pytest.raises(StoreError, match="another indexing run"):
        build([sources], index)
    build([sources], index)


def test_another_embedder_is_refused_with_both_remedies(sources: Path, index: Path) -> None:
    build([sources], index)
    with pytest.raises(EmbedderError) as error:
        build([sources], index, embedder="other/model")
    assert "--embedder all-MiniLM-L6-v2" in str(error.value)
    assert "--index NEW_DIR" in str(error.value)


def test_remove_forgets_a_file_or_one_record(sources: Path, index: Path) -> None:
    build([sources], index)
    assert remove(index, f"{sources}/records.jsonl#r2") == 1
    assert remove(index, f"{sources}/mill.txt") == 1
    with pytest.raises(StoreError, match="status"):
        remove(index, f"{sources}/mill.txt")
    reader = Index(index)
    assert reader.count() == 8 - 1 - 1
    assert verify(index) == []
    assert words(index, '"wheel"') == set()


def test_a_damaged_or_missing_faiss_file_is_made_anew(sources: Path, index: Path) -> None:
    build([sources], index)
    (index / "half-written.tmp").touch()
    build([sources], index)
    assert list(index.glob("*.tmp")) == []
    (path,) = index.glob("text-*.faiss")
    expected = found(index, "whale oil", 5)
    path.write_bytes(path.read_bytes()[:-50])
    assert verify(index) == [f"{path.name} is damaged; it is made anew when the index is next searched"]
    assert found(index, "whale oil", 5) == expected
    assert verify(index) == []
    for file in index.glob("text-*.faiss"):
        file.unlink()
    assert found(index, "whale oil", 5) == expected


def test_a_reader_sees_what_is_committed_after_it_opened(sources: Path, index: Path) -> None:
    build([sources], index)
    reader = Index(index)
    embedder = open_embedder()
    query = embedder.encode_queries(["a submarine volcano erupts"])[0]

    def best() -> str:
        ((row, _),) = reader.nearest(query, 1)
        return reader.chunks([row])[row].text

    assert "volcano" not in best()
    (sources / "new.txt").write_text("The submarine volcano erupted in May.")
    build([sources], index)
    assert "volcano" in best()
    remove(index, f"{sources}/new.txt")
    assert "volcano" not in best()


def test_rows_newer_than_the_faiss_file_are_searched_too(
    sources: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build([sources], index)
    monkeypatch.setattr("indexing.build.run.update_ann", lambda store: None)  # as if killed before FAISS was written
    (sources / "new.txt").write_text("The submarine volcano erupted in May.")
    build([sources], index)
    remove(index, f"{sources}/mill.txt")
    assert ann.newest(index, "text")[0] < Index(index).count() + 2
    assert found(index, "an erupting volcano", 1) == [f"{sources}/new.txt"]
    assert f"{sources}/mill.txt" not in found(index, "the wheel turns", 20)


def test_an_index_of_a_folder_with_nothing_is_empty_and_says_so(tmp_path: Path, index: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert build([tmp_path / "nothing"], index).chunks == 0
    reader = Index(index)
    assert reader.count() == 0
    assert reader.nearest(np.ones(384, np.float32), 5) == reader.matching('"a"', 5) == []
    with pytest.raises(StoreError, match="python -m indexing"):
        Index(tmp_path / "elsewhere")


def test_filters_narrow_by_path_type_and_date(sources: Path, index: Path) -> None:
    os.utime(sources / "mill.txt", (1_000_000_000, 1_000_000_000))  # September 2001
    build([sources], index)
    everything = [f"{sources}/mill.txt", f"{sources}/deep/cats.md"]
    for expressions, names in (
        (["path=*mill*"], everything[:1]), (["type=md"], everything[1:]), (["type=markdown"], everything[1:]),
        (["type=.txt"], everything[:1]), (["date=2001-09"], everything[:1]), (["date<=2001"], everything[:1]),
        (["date>=2001-09-10", "type=txt"], []),
    ):
        only = Filter.parse(expressions)
        assert sorted(set(found(index, "mill", 20, only))) == sorted(names)
        assert words(index, '"mill" OR "wheel"', only) == set(names)
    for bad in ("size>3", "date=soon", "type>=pdf", "date=2024-13"):
        with pytest.raises(FilterError):
            Filter.parse([bad])


def run(*arguments: str, **more: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "indexing", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **more)


def test_the_command_prints_one_object_and_its_exit_tells(sources: Path, index: Path) -> None:
    done = run(str(sources), "--index", str(index), "--json")
    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown["documents"] == {"added": 7, "changed": 0, "unchanged": 0, "removed": 0, "failed": 0}
    assert shown.keys() == {"documents", "chunks", "seconds", "failures"}
    (sources / "empty.txt").write_text("")
    done = run(str(sources), "--index", str(index), "--json", "--no-progress")
    assert done.returncode == 3
    assert json.loads(done.stdout)["failures"] == [{"path": f"{sources}/empty.txt", "reason": "empty file"}]
    assert done.stderr == ""
    assert run(str(sources)).returncode == run(str(sources / "nowhere"), "--index", str(index)).returncode == 2
    status = json.loads(run("status", "--index", str(index), "--json").stdout)
    assert (status["documents"], status["failed"], len(status["files"])) == (7, 1, 4)
    assert run("remove", f"{sources}/mill.txt", "--index", str(index)).stdout == "removed 1 document\n"
    assert run("verify", "--index", str(index)).returncode == 0


@pytest.mark.slow
def test_killed_at_any_moment_the_index_opens_and_the_next_run_goes_on(tmp_path: Path) -> None:
    folder, index, whole = tmp_path / "docs", tmp_path / "index", tmp_path / "whole"
    folder.mkdir()
    for i in range(40):
        entries = (f"Log {i}, entry {j}: buoy {i * 7 + j} drifted {j} metres north of the wall." for j in range(20))
        (folder / f"log-{i:03}.txt").write_text("\n\n".join(entries))
    arguments = [sys.executable, "-m", "indexing", str(folder), "--index", str(index), "--json"]
    killed, wait = 0, 0.6
    for _ in range(12):
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        wait += 0.3
        if (index / "store.sqlite").exists() and (index / "store.sqlite").stat().st_size:
            assert verify(index) == []
            reader = Index(index)
            if reader.fingerprint and reader.count():
                hits = reader.nearest(open_embedder().encode_queries(["buoy adrift"])[0], 5)
                assert len(reader.chunks([row for row, _ in hits])) == min(5, reader.count())
    assert killed >= 2
    last = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert json.loads(last.stdout)["documents"]["failed"] == 0
    build([folder], whole)
    texts = [sorted(chunk.id for chunk in Index(path).chunks(range(1, 5000)).values()) for path in (index, whole)]
    assert texts[0] == texts[1]
    assert verify(index) == []
