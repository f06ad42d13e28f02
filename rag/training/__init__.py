"""Fits the weights of retrieval and answering, and makes the data for it. Answering imports none of it.

Each module is a command: `python -m rag.training.MODULE`.
"""
