"""What the writer reads: a question and its answer. The training and the product share it."""

from __future__ import annotations

PROMPT = "<|im_start|>user\n{question}\nAnswer: {answer}<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"


def prompt(question: str, answer: str) -> str:
    """The prompt of one statement. Signs of the chat's turns inside either are taken out."""
    question, answer = (text.replace("<|", "< |").strip() for text in (question, answer))
    return PROMPT.format(question=question, answer=answer)
