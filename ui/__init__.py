"""The web page: layout, handlers and HTML of answers and evidence. In: rag's Answer. It neither searches nor ranks."""
