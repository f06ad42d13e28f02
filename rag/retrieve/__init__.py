"""Question -> ranked chunks: one file per channel, and their fusion."""
