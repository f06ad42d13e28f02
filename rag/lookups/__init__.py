"""Look-ups: values that the words of a question and their places on a page single out, without a model.

In: a question, the evidence and the boxes of its words. Out: a `LookupResult`, or None where words do not decide.
They know no index, no reader and no retriever; `rag.lookups.decide` tries them in order. See docs/lookups.md.
"""
