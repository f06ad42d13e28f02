"""Uploaded files: copied once, never overwritten, removed with their documents. And a build with progress."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from indexing.build.follow import follow
from indexing.build.run import Progress, Summary, build
from indexing.build.sources import SourceError
from indexing.build.uploads import FOLDER, forget, keep
from indexing.index import Index
from indexing.status import file_list
from indexing.stores.sqlite import Store, StoreError


def test_the_same_content_is_kept_once_and_another_one_beside_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "a.txt", tmp_path / "two" / "a.txt"
    for path, text in ((one, "first"), (two, "second")):
        path.parent.mkdir()
        path.write_text(text)
    folder = tmp_path / "kept"
    assert keep([one], folder) == keep([one], folder) == [folder / "a.txt"]
    assert keep([two], folder) == [folder / "a (2).txt"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.txt": "first", "a (2).txt": "second"}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="cannot keep the files"):
        keep([tmp_path / "file"], tmp_path / "file")


def test_forgetting_deletes_the_copy_and_no_other_file(tmp_path: Path) -> None:
    index, own = tmp_path / "index", tmp_path / "own.txt"
    own.write_text("The owner's file about lanterns.")
    (tmp_path / "given.txt").write_text("A file about gates.")
    (kept,) = keep([tmp_path / "given.txt"], index / FOLDER)
    build([own, kept], index)
    assert forget(index, str(kept)) == 1 and not kept.exists()
    assert forget(index, str(own)) == 1 and own.exists()
    assert not Index(index).count()
    with pytest.raises(StoreError):
        forget(index, str(own))


def test_a_build_is_followed_to_its_summary(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"Text number {number}.")
    *told, last = follow([tmp_path], tmp_path / "index", workers=1)
    assert isinstance(last, Summary) and last.added == 3
    assert [event.files for event in told if isinstance(event, Progress)] == [0, 1, 2, 3]


def test_errors_of_a_build_come_out_where_it_is_followed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        list(follow([tmp_path / "nowhere"], tmp_path / "index"))


def test_a_build_that_nobody_follows_ends_and_the_next_goes_on(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"Text number {number}.")
    following = follow([tmp_path], tmp_path / "index", workers=1)
    next(following)
    following.close()
    for _ in range(100):
        try:
            Store(tmp_path / "index").close()
            break
        except StoreError:  # it is still at its file
            time.sleep(0.1)
    assert build([tmp_path], tmp_path / "index").added > 0
    assert len(file_list(Index(tmp_path / "index"))) == 40
