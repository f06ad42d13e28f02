"""Written by bench/fit_quote.py; do not edit. Regressions over rag.support's features."""

SENTENCE = (3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.2, -2.0, 0.0, -1.0, 0.5, 0.5, 0.2, 0.5)
SENTENCE_BIAS = -6.0
ANSWER = (0.3, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 1.0, 0.1, 0.1)
ANSWER_BIAS = -3.0
THRESHOLD = 0.3
