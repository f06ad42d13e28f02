"""Files -> index: which files to read, workers that read them, commits, upkeep."""
