"""Files -> index. Command: `python -m indexing`.

In: files and folders. Out: an index directory, opened for reading as `indexing.index.Index`.
loaders/ reads files into Documents, chunking.py cuts them into Chunks with locators, embedder.py embeds these,
build/ plans and commits, stores/ holds SQLite and the FAISS files. Knows nothing of questions and answers.
"""
