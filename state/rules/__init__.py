"""What is decided from the figures of a SKU: levels, ad states, holds."""
