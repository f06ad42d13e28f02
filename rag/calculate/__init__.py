"""Computed answers: sums, means, counts, extremes, differences and ratios of quantities that stand in the evidence.

In: a query with its kind, and a context with the whole tables of its evidence. Out: a Draft that says the result and
cites every operand. Numbers are decimals, never floats; nothing is computed from what is not cited.
"""
