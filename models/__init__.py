"""The grounded vision-language model. Knows nothing of files."""
