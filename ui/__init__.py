"""The web app's parts: layout, handlers and formatting. No retrieval logic."""
