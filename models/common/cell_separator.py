"""How the cells of a table's row stand in a text. On its own, because the loaders are imported without numpy."""

CELL = " | "
