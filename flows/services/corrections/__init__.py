"""Events that people append: counts, adjustments, reconciliations."""
