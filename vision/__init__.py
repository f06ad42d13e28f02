"""Pixels -> something a question can be asked of: pictures, pages, words."""
