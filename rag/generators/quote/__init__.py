"""The extractive generators: the best supported sentences of the evidence, word for word."""
