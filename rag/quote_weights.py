"""Written by rag/training/fit_quote.py; do not edit. Regressions over rag.generators.quote.sentence_features's features."""

SENTENCE = (0.6120, 3.0666, 2.1798, 3.3969, 2.7019, 1.5697, 1.0191, 0.1293, -1.5043, 0.5405, 0.3048, 0.1817, 0.1147, 0.4041, 0.6123)
ANSWER = (0.3419, 0.3883, 0.6350, 1.1263, 1.5561, -1.2197, 1.0603, -0.6883, -0.3226, -0.2424, 0.2961)
ANSWER_BIAS = -6.0645
THRESHOLD = 0.23
