"""Synthetic pages: receipts, forms, tables and charts whose every word has a known box.

In: a random generator, and tables or names to fill pages with. Out: a page, its facts and questions about these.
"""
