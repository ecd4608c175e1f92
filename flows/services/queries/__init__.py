"""Questions about the pool: levels, explanations, audits, exports."""
