"""Pages made by script, whose every word has a known box: receipts, forms, tables and charts to learn from and to measure with."""
