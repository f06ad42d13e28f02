"""The chat tab: the conversation, and the evidence of an answer beside it. Layout and handlers only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from indexing.status import file_list
from rag.conversation import Conversation, Turn
from ui.conversation_view import question_html, turn_html
from ui.evidence_view import evidence_html, similar_html

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline

AT_ONCE = 8  # questions answered concurrently
EXAMPLES = {  # file of data/sample -> a question that it answers
    "restoration-report.pdf": "What did the thieves steal from the roof, and how much of it?",
    "thrale-letter-1938-scan.pdf": "How wide is the crack in the south sluice pier?",
    "chandler-receipt.jpg": "What did the oakum cost on the chandler's receipt?",
    "walters-gate-notes.txt": "How wide is the south sea gate in the clear?",
}
INTRO = (
    '<div class="intro"><h1>Ask your documents</h1>'
    "<p>Every answer shows where it stands, or says that it is not there.</p></div>"
)
NO_EVIDENCE = (
    '<section class="evidence"><p class="note">The passages that an answer stands on are shown here.</p></section>'
)
EVIDENCE_JS = """
watch('value', () => setTimeout(() => {
    const panel = element.closest('.evidence-panel');
    if (location.hash && element.querySelector(location.hash)) folioShow(); else panel?.scrollTo(0, 0);
}, 100));
"""
FAULT = "Folio made a mistake and could not answer. The terminal where it runs shows what went wrong."
NOTHING = [gr.skip()] * 5  # Gradio empties the chat after an event without outputs


def ask_tab(app: gr.Blocks, rag: RagPipeline) -> None:
    """Lay the tab out. A conversation lives for as long as its browser tab is open."""
    state = gr.State(None, delete_callback=lambda conversation: conversation and conversation.close())
    shown = gr.State(-1)  # the turn whose evidence is shown
    with gr.Row(elem_classes="desk"):
        with gr.Column(scale=11, min_width=320, elem_classes="talk"):
            chatbot = gr.Chatbot(
                show_label=False, container=False, latex_delimiters=[], buttons=[], feedback_options=None,
                placeholder=INTRO, height="100%", elem_classes="conversation",
            )  # fmt: skip
            box = gr.MultimodalTextbox(
                file_count="multiple", sources=["upload"], show_label=False, container=False, autofocus=True,
                max_plain_text_length=100_000, placeholder="Ask, or drop files to ask about", elem_classes="ask",
            )  # fmt: skip
        with gr.Column(scale=9, min_width=320, elem_classes="evidence-panel"):
            evidence = gr.HTML(NO_EVIDENCE, js_on_load=EVIDENCE_JS, apply_default_css=False)
    outputs, chat = [state, chatbot, box, evidence, shown], Chat(rag)
    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    running = [
        box.submit(chat.ask, [box, state], outputs, concurrency_limit=AT_ONCE, **hidden),
        chatbot.example_select(chat.example, [state], outputs, concurrency_limit=AT_ONCE, **hidden),
        chatbot.retry(chat.retry, [state], outputs, concurrency_limit=AT_ONCE, **hidden),
    ]
    for event in running:
        event.failure(chat.fail, [state], [chatbot, box], **hidden)
    box.stop(chat.stop, [state], [chatbot, box], cancels=running, **hidden)
    chatbot.clear(chat.clear, [state], outputs, cancels=running, **hidden)
    chatbot.select(chat.select, [state, shown], [evidence, shown], **hidden)
    app.load(chat.examples, None, chatbot, **hidden)


class Chat:
    """The handlers of the tab. A turn of a conversation is two messages of the chat: question and answer."""

    def __init__(self, rag: RagPipeline) -> None:
        self._rag = rag

    def examples(self) -> gr.Chatbot:
        names = {Path(file.name).name for file in file_list(self._rag.index)}
        return gr.Chatbot(examples=[{"text": question} for name, question in EXAMPLES.items() if name in names])

    def ask(self, message: dict[str, Any] | None, conversation: Conversation | None) -> Iterator[list]:
        message = message or {}  # None before the field was first used
        question, files = (message.get("text") or "").strip(), message.get("files") or []
        conversation = conversation or Conversation(self._rag)
        yield from _outputs(conversation, conversation.take(question, files)) if question or files else [NOTHING]

    def example(self, chosen: gr.SelectData, conversation: Conversation | None) -> Iterator[list]:
        yield from self.ask({"text": chosen.value["text"]}, conversation)

    def retry(self, chosen: gr.RetryData, conversation: Conversation) -> Iterator[list]:
        number = chosen.index // 2
        asked = conversation.turns[number].question
        yield from _outputs(conversation, conversation.again(number)) if asked else [NOTHING]

    def stop(self, conversation: Conversation | None) -> list:
        if conversation:
            conversation.stop()
        return [_messages(conversation), _ready()]

    def fail(self, conversation: Conversation | None) -> list:
        """After a bug of ours, which the terminal shows: say so, and accept the next question."""
        if conversation:
            conversation.stop(FAULT)
        return [_messages(conversation), _ready()]

    def clear(self, conversation: Conversation | None) -> list:
        if conversation:
            conversation.close()
        return [None, [], _ready(), NO_EVIDENCE, -1]

    def select(self, chosen: gr.SelectData, conversation: Conversation | None, shown: int) -> tuple[Any, Any]:
        """Show the evidence of the answer that was clicked on."""
        number = chosen.index // 2
        found = _beside(conversation, number) if conversation and number != shown else ""
        return (found, number) if found else (gr.skip(), gr.skip())


def _outputs(conversation: Conversation, progress: Iterator[Turn]) -> Iterator[list]:
    """The values of the tab's outputs while a turn is answered and after it."""
    busy = gr.MultimodalTextbox(value={"text": "", "files": []}, submit_btn=False, stop_btn=True)
    for _ in progress:
        yield [conversation, _messages(conversation), busy, gr.skip(), gr.skip()]
        busy = gr.skip()
    number = len(conversation.turns) - 1
    found = _beside(conversation, number)
    yield [conversation, _messages(conversation), _ready(), *([found, number] if found else [gr.skip(), gr.skip()])]


def _beside(conversation: Conversation, number: int) -> str:
    """The panel beside a turn: the evidence of its answer, or pictures like the one that was dropped; else ""."""
    turn = conversation.turns[number]
    if turn.reply:
        return evidence_html(turn.reply, number)
    return similar_html(turn.similar, number) if turn.similar else ""


def _ready() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=True, stop_btn=False)


def _messages(conversation: Conversation | None) -> list[dict[str, str]]:
    messages = []
    for number, turn in enumerate(conversation.turns if conversation else ()):
        messages.append({"role": "user", "content": question_html(turn)})
        messages.append({"role": "assistant", "content": turn_html(turn, number)})
    return messages
