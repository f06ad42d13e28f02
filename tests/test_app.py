"""The web app over a real index: its doors for programs, its handlers, and that its page stays at home."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from PIL import Image

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from indexing.build.run import build
from indexing.status import file_list
from rag.__main__ import main as rag_main
from rag.conversation import EMPTY
from rag.pipeline import RagPipeline

ROOT = Path(__file__).parents[1]
HOSTILE = (
    'The lantern of <script>alert(1)</script><img src=x onerror="alert(2)"> weighs 3 kg, '
    "see ![x](http://evil.test/a.png)."
)
QUESTION = "How much does the lantern weigh?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "lantern.txt").write_text(HOSTILE)
    (folder / "damaged.pdf").write_bytes(b"%PDF-1.7 cut off")
    books = ROOT / "data" / "sample" / "mill-books.xlsx"
    build([folder / "lantern.txt", folder / "damaged.pdf", books], folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def rag(index: Path) -> RagPipeline:
    return RagPipeline.from_index(index)


@pytest.fixture(scope="module")
def address(rag: RagPipeline) -> Iterator[str]:
    from app import build_app
    from ui.server import launch

    app = build_app(rag)
    yield launch(app, port=free_port())
    app.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    from gradio_client import Client

    return Client(address, verbose=False, analytics_enabled=False)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def get(address: str, path: str = "", **headers: str) -> tuple[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers)) as response:
        return response.read().decode(), response.headers


# programs


def test_the_endpoints_are_these_and_no_others(client: Any) -> None:
    told = client.view_api(return_format="dict")
    assert set(told["named_endpoints"]) == {"/search", "/ask", "/ingest", "/delete", "/status"}
    assert not told["unnamed_endpoints"]
    assert all(endpoint["description"] for endpoint in told["named_endpoints"].values())
    parameters = told["named_endpoints"]["/search"]["parameters"]
    assert [given["parameter_name"] for given in parameters] == ["question", "k", "image"]


def timeless(found: Any) -> Any:
    """Without the times it took."""
    if not isinstance(found, dict):
        return found
    return {key: timeless(value) for key, value in found.items() if key not in ("ms", "cost")}


def test_asking_and_searching_answer_what_the_command_line_does(
    client: Any, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rag_main(["ask", QUESTION, "--index", str(index), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert timeless(client.predict(QUESTION, None, api_name="/ask")) == timeless(told)
    assert not told["abstained"] and HOSTILE in told["text"]
    assert rag_main(["search", QUESTION, "--index", str(index), "--json", "-k", "2"]) == 0
    assert client.predict(QUESTION, 2, api_name="/search") == json.loads(capsys.readouterr().out)


def test_history_is_an_argument(client: Any) -> None:
    answer = client.predict("And what did it weigh?", [QUESTION], api_name="/ask")
    assert answer["trace"]["searched"] == f"{QUESTION} And what did it weigh?"


def test_add_and_delete(client: Any, tmp_path: Path) -> None:
    (tmp_path / "boat.txt").write_text("The boat is called Kittiwake.")
    (tmp_path / "empty.txt").write_text("")
    told = client.predict([str(tmp_path)], api_name="/ingest")
    assert told["documents"]["added"] == 1
    assert told["failures"] == [{"file": str(tmp_path / "empty.txt"), "reason": "empty file"}]
    files = client.predict(api_name="/status")["files"]
    name = next(file["name"] for file in files if file["name"].endswith("boat.txt"))
    answer = client.predict("What is the boat called?", None, api_name="/ask")
    assert answer["text"] == "The boat is called Kittiwake.\nKittiwake"
    assert client.predict(name, api_name="/delete") == {"removed": 1}
    assert client.predict(str(tmp_path / "empty.txt"), api_name="/delete") == {"removed": 0}
    assert name not in {file["name"] for file in client.predict(api_name="/status")["files"]}


def test_status_names_failures_and_their_reasons(client: Any) -> None:
    status = client.predict(api_name="/status")
    assert status["failed"] == 1 and status["embedder"]
    assert next(file["reason"] for file in status["files"] if file["status"] == "failed")


@pytest.mark.parametrize(
    ("endpoint", "argument", "line"),
    [
        ("/delete", "nowhere.txt", "no document 'nowhere.txt'"),
        ("/ingest", ["/nowhere/at/all"], "no such file or folder"),
    ],
)
def test_what_a_user_can_cause_is_told_in_one_line(client: Any, endpoint: str, argument: Any, line: str) -> None:
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match=line) as caught:
        client.predict(argument, api_name=endpoint)
    assert "Traceback" not in str(caught.value)


def test_paths_are_refused_where_others_can_reach_the_app(rag: RagPipeline, tmp_path: Path) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    from app import build_app
    from ui.server import launch

    app = build_app(rag, local=False)
    try:
        with pytest.raises(AppError, match="upload the files instead"):
            stranger = Client(launch(app, port=free_port()), verbose=False, analytics_enabled=False)
            stranger.predict([str(tmp_path)], api_name="/ingest")
    finally:
        app.close(verbose=False)


def call_hidden(address: str, name: str, data: list, **headers: str) -> str:
    """What a handler of the page says that is called as a program would, without the page: its events as text."""
    config = json.loads(get(address, "config")[0])
    number = next(one["id"] for one in config["dependencies"] if one["api_name"] == name)
    body = json.dumps({"data": data, "fn_index": number, "session_hash": "stranger"}).encode()
    sent = {"content-type": "application/json", **headers}
    join = urllib.request.Request(f"{address}gradio_api/queue/join", body, sent)
    with urllib.request.urlopen(join) as response:
        assert response.status == 200
    return get(address, "gradio_api/queue/data?session_hash=stranger")[0]


def names_of(rag: RagPipeline) -> set[str]:
    return {Path(file.path).name for file in file_list(rag.index)}


@pytest.mark.parametrize(
    ("local", "headers"),
    [
        (False, {}),
        (True, {"X-Forwarded-For": "203.0.113.9"}),
        (True, {"X-Forwarded-For": "127.0.0.1"}),
    ],
)
def test_a_stranger_adds_no_file_of_this_machine(
    rag: RagPipeline, tmp_path: Path, local: bool, headers: dict[str, str]
) -> None:
    from app import build_app
    from ui.server import launch

    (tmp_path / "secret.txt").write_text("The key lies under the mat.")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    app = build_app(rag, local=local)
    try:
        address = launch(app, port=free_port())
        for name in ("add", "add_1"):
            assert "upload the files instead" in call_hidden(address, name, [str(tmp_path), ""], **headers)
        upload = [[{"path": str(tmp_path / "secret.txt")}], ""]
        assert '"success":false' in call_hidden(address, "upload", upload, **headers)
        call_hidden(address, "ingest", [[str(tmp_path)]], **headers)
        assert '"success":false' in call_hidden(address, "search", ["", 3, str(tmp_path / "secret.png")], **headers)
        assert "secret.txt" not in names_of(rag)
    finally:
        app.close(verbose=False)


def test_this_machine_adds_its_files_by_the_handler_of_the_page(address: str, rag: RagPipeline, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("The spare key hangs by the door.")
    assert "1 document added" in call_hidden(address, "add", [str(tmp_path), ""])
    assert "own.txt" in names_of(rag)


def test_questions_at_the_same_time_and_while_indexing(client: Any, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"Note {number} is about barrels.")
    adding = client.submit([str(tmp_path)], api_name="/ingest")
    answers: list[str] = []
    ask = lambda: answers.append(client.predict(QUESTION, None, api_name="/ask")["text"])  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4 and all(HOSTILE in answer for answer in answers)
    assert adding.result(60)["documents"]["added"] == 30


# the page


def test_the_page_asks_no_other_host_for_anything(address: str) -> None:
    page, headers = get(address)
    style, _ = get(address, "theme.css")
    link = (
        r"""(?:src|href|content)=["'](https?://[^"']+)|url\(["']?(https?://[^)"']+)"""
        r"""|@import[^;]*(https?://[^;"')]+)"""
    )
    linked = re.findall(link, page + style)
    assert {link for links in linked for link in links if link and not link.startswith(address.rstrip("/"))} == set()
    assert "fonts.g" not in page + style and "cdnjs" not in page
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "http" not in policy and "*" not in policy


def test_another_name_for_this_address_is_refused(address: str) -> None:
    with pytest.raises(HTTPError, match="400"):
        get(address, Host="evil.test")


def test_files_of_this_machine_are_not_served(address: str, index: Path) -> None:
    for path in (index / "store.sqlite", index.parent / "lantern.txt"):
        with pytest.raises(HTTPError, match=r"40[34]"):
            get(address, f"gradio_api/file={path}")


# the handlers


def shown(outputs: Iterator[list]) -> list:
    *_, last = outputs
    return last


def test_the_chat_tells_and_shows_without_a_live_tag(rag: RagPipeline) -> None:
    from ui.chat import Chat

    conversation, messages, _, evidence, turn = shown(Chat(rag).ask({"text": f" {QUESTION} ", "files": []}, None))
    assert [message["role"] for message in messages] == ["user", "assistant"] and turn == 0
    assert 'href="#t0s1"' in messages[1]["content"] and 'id="t0s1"' in evidence and "<mark>" in evidence
    assert not re.search(r"<(script|img src=x)", evidence + messages[1]["content"])
    assert conversation.turns[0].question == QUESTION


@pytest.mark.parametrize("message", [None, {}, {"text": " \n ", "files": []}])
def test_an_empty_question_changes_nothing(rag: RagPipeline, message: dict | None) -> None:
    from ui.chat import NOTHING, Chat

    assert list(Chat(rag).ask(message, None)) == [NOTHING]


def test_retry_replaces_and_clear_forgets(rag: RagPipeline, tmp_path: Path) -> None:
    import gradio as gr

    from ui.chat import Chat

    chat, file = Chat(rag), tmp_path / "boat.txt"
    file.write_text("The ferry is called Sandpiper.")
    conversation = shown(chat.ask({"text": "What is the ferry called?", "files": [str(file)]}, None))[0]
    conversation, messages, *_ = shown(chat.ask({"text": QUESTION}, conversation))
    assert len(messages) == 4 and "from the files dropped here" in messages[1]["content"]
    conversation, messages, *_ = shown(chat.retry(gr.RetryData(None, {"index": 1, "value": ""}), conversation))
    assert len(messages) == 2 and "Sandpiper" in messages[1]["content"]
    folder = Path(conversation._folder.name)
    assert chat.clear(conversation)[1] == [] and not folder.exists()


def test_a_click_on_an_answer_shows_its_evidence(rag: RagPipeline) -> None:
    import gradio as gr

    from ui.chat import Chat

    chat = Chat(rag)
    conversation = shown(chat.ask({"text": QUESTION}, None))[0]
    clicked = gr.SelectData(None, {"index": 1, "value": ""})
    assert chat.select(clicked, conversation, -1)[1] == 0
    assert chat.select(clicked, conversation, 0)[1] != 0  # shown already
    assert chat.select(clicked, None, -1)[1] != 0


def test_a_fault_of_ours_is_admitted(rag: RagPipeline) -> None:
    from rag.conversation import Conversation, Turn
    from ui.chat import FAULT, Chat

    talk = Conversation(rag, [Turn("?")])
    assert FAULT in Chat(rag).fail(talk)[0][1]["content"]
    assert Chat(rag).stop(None)[0] == []


def test_an_empty_index_says_what_to_do(tmp_path: Path) -> None:
    from ui.chat import Chat
    from ui.library import Shelf

    build((), tmp_path / "index")
    rag = RagPipeline.from_index(tmp_path / "index")
    messages = shown(Chat(rag).ask({"text": QUESTION}, None))[1]
    assert EMPTY in messages[1]["content"]
    assert "The index is empty" in Shelf(rag, True).show(None)
    assert Chat(rag).examples().examples == []


def test_the_library_adds_lists_and_removes(tmp_path: Path) -> None:
    import gradio as gr

    from ui.library import Shelf

    build((), tmp_path / "index")
    shelf = Shelf(RagPipeline.from_index(tmp_path / "index"), True)
    here = gr.Request(client={"host": "::1"}, headers={})
    for name, content in (("boat.txt", b"The boat is called Kittiwake."), ("damaged.pdf", b"%PDF-1.7 cut off")):
        (tmp_path / name).write_bytes(content)
    news, table, *_ = shown(shelf.upload([str(tmp_path / "boat.txt"), str(tmp_path / "damaged.pdf")], ""))
    assert "1 document added" in news.value and "1 file could not be read" in news.value and "boat.txt" in table
    kept = tmp_path / "index" / "uploads" / "boat.txt"
    assert kept.exists()
    news, table = shelf.remove(gr.EventData(None, {"name": str(kept)}), "")
    assert "Removed" in news.value and "boat.txt" not in table and not kept.exists()
    assert "no document" in shelf.remove(gr.EventData(None, {"name": "nowhere"}), "")[0].value
    assert "no such file or folder" in shown(shelf.add("~/nowhere/at/all", "", here))[0].value
    assert len(list(shelf.add("  ", "", here))) == 1
