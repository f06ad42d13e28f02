"""A turn of the conversation in, the HTML of its two messages out: the question, and what came of it.

Whatever comes from a document, a question or a model is escaped.
"""

from __future__ import annotations

from html import escape

from rag.conversation import Reply, Turn
from ui.answer_view import answer_html, sources
from ui.library_view import progress_html, summary_html

LONGEST_SHOWN = 1500  # characters of a question in its bubble


def question_html(turn: Turn) -> str:
    """The question, and the names of the files that were dropped with it."""
    text = turn.question
    if len(text) > LONGEST_SHOWN:
        text = f"{text[:LONGEST_SHOWN]}… ({len(text) - LONGEST_SHOWN:,} more characters)"
    files = "".join(f"<li>{escape(name)}</li>" for name in turn.files)
    return _block("asked", escape(text) + (f"<ul>{files}</ul>" if files else ""))


def turn_html(turn: Turn, number: int) -> str:
    """The state of a turn: the indexing of its files, then the answer to its question."""
    parts = []
    if turn.summary:
        parts.append(summary_html(turn.summary))
    elif turn.progress and not turn.problem:
        parts.append(progress_html(turn.progress))
    if turn.problem:
        parts.append(f'<p class="problem">{escape(turn.problem)}</p>')
    elif turn.reply:
        parts.append(_reply(turn.reply, number))
    elif turn.similar:
        parts.append('<p class="facts">What the library has of its kind is listed under “Like the picture”.</p>')
    elif turn.text:
        parts.append(f'<div class="answer">{escape(turn.text)}</div>')
    elif turn.question and not (turn.files and not turn.summary):
        parts.append('<p class="waiting">Searching</p>')
    return _block("told", "".join(parts))


def _reply(reply: Reply, number: int) -> str:
    answer = reply.answer
    if answer.abstained:
        unsure = "The closest passages are listed; no answer in them is sure enough."
        hint = unsure if answer.evidence else "Nothing was found."
        return f'<div class="abstained"><b>{escape(answer.text)}</b><br>{hint}</div>'
    count = len(sources(answer))
    facts = ["from the files dropped here"] if reply.dropped else []
    if count:  # thanks have none
        facts += [f"{count} source{'s' if count > 1 else ''}", f"confidence {answer.confidence:.2f}"]
    line = " · ".join([*facts, f"{reply.seconds:.1f} s"])
    return f'<div class="answer">{answer_html(answer, number)}</div><p class="facts">{line}</p>'


def _block(kind: str, inner: str) -> str:
    """An HTML block on one line, inside which Gradio looks for no Markdown: no text can bring images or links."""
    return f'<div class="{kind}">{inner}</div>'.replace("\n", "<br>")
