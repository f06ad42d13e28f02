"""Written by bench/fit_quote.py; do not edit. Regressions over rag.support's features."""

SENTENCE = (0.5244, 4.0943, 1.9186, 4.3379, 2.0952, 1.4612, 1.1144, 0.1682, -0.7660, 0.7909, 0.2511, -0.2805, 0.5351, 0.4550, 0.3515)
ANSWER = (0.0801, 0.3050, 2.8894, 0.9813, 1.6089, 0.4234, 0.7220, -0.5939, 0.0190, 0.0758, 0.2840, 0.1358)
ANSWER_BIAS = -6.9420
THRESHOLD = 0.07
