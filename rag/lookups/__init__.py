"""Values that words and places single out on a page or in a table, without a model."""
