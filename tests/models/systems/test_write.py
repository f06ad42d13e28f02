"""The command that lets the decoder write: an answer copied from a passage, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from copier import copier

from models.common import command_line
from models.common.errors import DataError, WritingError
from models.network.grounded_reader import GroundedReader
from models.reader.windows import Passage, open_tokenizer
from models.systems import write
from models.systems.write import Decoding

TEXT = "  The Mill was built in 1742 by Chandler."
WAYS = [
    [], ["--cache", "static"], ["--cache", "sliding", "--window", "40"], ["--cache", "quantised", "--bits", "4"],
    ["--speculate", "memory"], ["--speculate", "prompt"], ["--speculate", "assistant"], ["--speculate", "early-exit"],
    ["--samples", "3", "--temperature", "0.2"],
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It copies what stands behind the [SEP] that its prompt ends with, and that is the context."""
    folder = tmp_path_factory.mktemp("model")
    copier(open_tokenizer().get_vocab_size()).save_pretrained(folder)
    return folder


def test_every_way_says_what_was_copied_and_from_where(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = open_tokenizer().encode(TEXT, add_special_tokens=False).ids
    other = tmp_path / "other.txt"
    other.write_text("Zebras graze.")  # of two first words that are as near, the one of the lower number is taken
    (tmp_path / "mill.txt").write_text(TEXT)
    for way in WAYS:
        write.main(
            ["When was it built?", str(other), str(tmp_path / "mill.txt"), "--model", str(model), *way, "--json"]
        )
        told = json.loads(capsys.readouterr().out)
        assert told["text"] == "the mill was built in 1742 by chandler."
        assert (told["passage"], told["start"], told["end"], told["copied"]) == (1, 2, len(TEXT), 1.0), way
        assert told["tokens"] == len(words) + 1 and told["seconds"] > 0 and told["cache_bytes"] > 0
        # its lower layers copy as well
        assert (told["accepted"] > 1) == bool({"memory", "assistant", "early-exit"} & {*way}), way
    write.main(["When was it built?", str(tmp_path / "mill.txt"), "--model", str(model)])
    said = capsys.readouterr().out
    assert (
        "mill.txt, characters 2 to 41: 'The Mill was built in 1742 by Chandler.'" in said
        and "1.00 accepted a pass" in said
    )


def test_one_seed_draws_the_same(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mill.txt").write_text(TEXT)
    said = []
    for seed in (1, 1, 2):
        write.main([
            "Who?", str(tmp_path / "mill.txt"), "--model", str(model), "--temperature", "60", "--seed", str(seed),
            "--json",
        ])
        told = json.loads(capsys.readouterr().out)
        said.append((told["text"], told["log_probability"]))
    assert said[0] == said[1] != said[2]


def test_an_answer_is_no_longer_than_asked_for(model: Path) -> None:
    reader = GroundedReader(copier(open_tokenizer().get_vocab_size()))
    written = write.write(
        reader, reader.remember(["Who?"], [Passage(TEXT)], [0]), Decoding(longest=3, speculate="memory")
    )
    assert (written.text, written.tokens, written.start, written.end) == ("the mill was", 3, 2, 14)


@pytest.mark.parametrize(("way", "says"), [
    ({"samples": 2}, "give --temperature"), ({"samples": 0}, "1 sample"), ({"temperature": -1.0}, "0 or more"),
    ({"longest": 0}, "1 token"), ({"cache": "static", "speculate": "memory"}, "a static cache cannot"),
    ({"cache": "sliding", "speculate": "prompt"}, "a sliding cache cannot"),
    ({"samples": 2, "temperature": 1.0, "speculate": "memory"}, "one answer at a time"),
    ({"window": 1}, "give 2 or more"), ({"cache": "paged"}, "one of dynamic, static, sliding, quantised, not 'paged'"),
    ({"bits": 3}, "one of 8, 4, not 3"), ({"speculate": "luck"}, "not 'luck'"),
])  # fmt: skip
def test_what_does_not_go_together_is_one_clear_line(way: dict, says: str) -> None:
    with pytest.raises(WritingError, match=says):
        Decoding(**way)


def test_a_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    for name, says in (
        ("empty.txt", "is empty"),
        ("photo.jpg", "cannot be read as UTF-8"),
        ("none.txt", "cannot be read as UTF-8"),
    ):
        with pytest.raises(DataError, match=says):
            write.main(["Who?", str(tmp_path / name)])
    assert command_line.run(lambda: write.main(["Who?", str(tmp_path / "none.txt")])) == 2
    assert capsys.readouterr().err.count("\n") == 1
