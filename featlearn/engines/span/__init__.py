"""The Gram engine in plain batched torch: the formulas to read, and the twin of the compiled ones."""
