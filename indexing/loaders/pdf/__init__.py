"""PDF: words, lines, tables and figures of a page, with their boxes."""
