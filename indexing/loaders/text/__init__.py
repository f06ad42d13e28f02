"""Plain text, Markdown, reStructuredText and notebooks."""
