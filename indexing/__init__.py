"""Files -> index: loaders, chunks, embeddings, the store and its FAISS accelerator. `python -m indexing`."""
