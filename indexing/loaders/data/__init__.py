"""Records and tables: CSV, TSV, JSON, JSON Lines."""
