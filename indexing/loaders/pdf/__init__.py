"""PDF pages: words, lines, tables and figures, with their boxes."""
