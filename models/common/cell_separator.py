"""The separator of a table row's cells in a text. In a file of its own, because loaders are imported without numpy."""

CELL = " | "
