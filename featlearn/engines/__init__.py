"""Where the parameters live: as coefficients over the data vectors (gram) or as explicit weights (weights)."""
