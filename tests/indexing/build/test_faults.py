"""Faults around an index: odd names, files that change while they are read, folders that cannot be written, damage."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from indexing.build.run import Progress, build
from indexing.build.upkeep import remove
from indexing.build.verify import verify
from indexing.embedder import open_embedder
from indexing.filters import Filter
from indexing.index import Index
from indexing.stores.sqlite import Store, StoreError
from rag import RagPipeline
from rag.config import ConfigError, RagConfig

ROOT = Path(__file__).parents[3]


def page(y: int) -> bytes:
    """A PDF of one sentence at that height."""
    text = f"BT /F1 14 Tf 72 {y} Td (The spare rotor is kept in the boat house.) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, data) for number, data in enumerate(objects, 1))
    return b"%PDF-1.4\n" + body + b"trailer << /Size 6 /Root 1 0 R >>\n%%EOF"


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    source = tmp_path / "log.jsonl"
    source.write_text("".join(json.dumps({"_id": str(i), "text": f"record {i} says OLD"}) + "\n" for i in range(300)))
    changed = []

    def change(progress: Progress) -> None:
        if progress.name and not changed:  # read to its end, and not yet recorded
            changed.append(source.write_text(source.read_text().replace("OLD", "NEW")))

    build([source], tmp_path / "index", progress=change)
    assert changed
    build([source], tmp_path / "index")
    assert "NEW" in Index(tmp_path / "index").documents.text(f"{source}#7")
    assert build([source], tmp_path / "index").unchanged == 300


def test_text_that_moves_on_its_page_moves_its_boxes(tmp_path: Path) -> None:
    source, boxes = tmp_path / "a.pdf", []
    for y in (700, 100):
        source.write_bytes(page(y))
        build([source], tmp_path / "index")
        rag = RagPipeline.from_index(tmp_path / "index")
        (hit,) = rag.search("spare rotor")
        citation, *_ = rag.ask("Where is the spare rotor kept?").citations
        boxes.append((hit.locator.boxes[0][1], citation.boxes[0][1]))
    assert boxes[0] == pytest.approx((0.1, 0.1), abs=0.03)
    assert boxes[1] == pytest.approx((0.86, 0.86), abs=0.03)


def test_a_name_that_is_not_utf_8_is_a_line_and_the_rest_is_indexed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "good.txt").write_text("Good.")
    Path(os.fsdecode(os.fsencode(tmp_path / "docs") + b"/bad\xff.txt")).write_text("Bad.")
    summary = build([tmp_path / "docs"], tmp_path / "index")
    assert summary.added == 1
    failures = [(Path(f.path).name, f.reason) for f in summary.failures]
    assert failures == [("bad\\udcff.txt", "its name is not valid UTF-8: rename it")]


def test_a_hash_in_a_name_takes_no_other_document_away(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "d.jsonl").write_text(json.dumps({"_id": "1", "text": "The cup holds one litre."}))
    (tmp_path / "docs" / "d.jsonl#1").write_text("The jug holds nine litres.")
    for _ in range(2):
        build([tmp_path / "docs"], tmp_path / "index")
    found = {hit.text for hit in RagPipeline.from_index(tmp_path / "index").search("how much does it hold?")}
    assert found == {"The cup holds one litre.", "The jug holds nine litres."}
    assert Index(tmp_path / "index").matching('"d"', 5), "a file is found by its name, whatever stands in it"


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"_id": "1", "text": "One."}\n{broken\n{"_id": "3", "text": "Three."}\n')
    (failure,) = build([source], tmp_path / "index").failures
    assert failure.reason.startswith("line 2 is not JSON")
    assert failure.reason.endswith("the other lines are indexed")
    assert Index(tmp_path / "index").documents.text(f"{source}#3") == "Three."


def test_one_file_is_one_document_however_its_path_is_spelled(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "n.txt").write_text("Nine.")
    build([folder], tmp_path / "index")
    assert build([f"{folder}/../a/n.txt"], tmp_path / "index").unchanged == 1
    (folder / "n.txt").unlink()
    assert build([f"{tmp_path}/a/../a"], tmp_path / "index", prune=True).removed == 1


def test_a_folder_that_cannot_be_written_is_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("The tide mill.")
    build([tmp_path / "a.txt"], tmp_path / "index")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere, so this is as near as a test gets
    reader = Index(tmp_path / "index")
    assert reader.nearest(open_embedder().encode_queries(["mill"])[0], 1)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write an index in"):
        Store(tmp_path / "file")


def test_a_damaged_store_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"Log {number}. " + "The buoy drifted. " * 100)
    build([tmp_path], tmp_path / "index")
    store = tmp_path / "index" / "store.sqlite"
    with sqlite3.connect(store) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(store.read_bytes())
    for at in range(2 * 4096, len(data), 3 * 4096):
        data[at : at + 4096] = b"\xaa" * 4096
    store.write_bytes(data)
    assert any(problem.startswith("database: ") for problem in verify(tmp_path / "index"))
    for command in (["rag", "ask", "buoy"], ["indexing", "status"]):
        whole = [sys.executable, "-m", *command, "--index", str(tmp_path / "index")]
        done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or (done.returncode == 2 and done.stderr.count("\n") == 1)


def test_removing_from_nowhere_makes_no_index(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no index in"):
        remove(tmp_path / "typo", "a.txt")
    assert not (tmp_path / "typo").exists()


def test_an_index_that_was_never_filled_answers(tmp_path: Path) -> None:
    Store(tmp_path / "index").close()
    assert RagPipeline.from_index(tmp_path / "index").ask("anything?").abstained


def test_strange_settings_and_questions_are_refused_or_taken(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The gate is green.")
    build([tmp_path / "a.txt"], tmp_path / "index")
    rag = RagPipeline.from_index(tmp_path / "index")
    assert rag.search("\udcff gate")
    assert rag.ask("\udcff gate?", history=["\udcfe"]).text
    for edge in ("date<=9999", "date<=9999-12-31", "date>=1970"):
        assert rag.search("gate", only=Filter.parse([edge]))
    for threshold in (float("nan"), -3.0, 1.5):
        with pytest.raises(ConfigError):
            RagConfig(threshold=threshold)
