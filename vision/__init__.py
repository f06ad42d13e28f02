"""Pixels in; embeddings, words with boxes and rendered pages out. Knows no index and no question."""
