"""The Gram engine in plain batched torch: the readable formulas, and the reference for the compiled ones."""
