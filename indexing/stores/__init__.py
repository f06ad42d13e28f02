"""What an index holds on disk: SQLite is the truth, FAISS files are derived from it."""
