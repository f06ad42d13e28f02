"""Written by bench/fit_quote.py; do not edit. Regressions over rag.support's features."""

SENTENCE = (0.7811, 3.6610, 1.9453, 3.7138, 2.5618, 1.4356, 1.1323, 0.1345, -0.9585, 0.6676, -0.0772, 0.0829, 0.3198, 0.3685, 0.4688)
ANSWER = (0.1591, 0.3783, 1.3407, 0.8926, 1.3778, -1.2684, 0.3654, -0.8793, -0.0665, 0.4697, 1.6729, -0.0406)
ANSWER_BIAS = -5.4928
THRESHOLD = 0.21
