"""Where the parameters live: as coefficients over the data vectors (gram) or as explicit weights (weights).

ENGINES says what each provides to rules and trackers, so that a config is refused before torch is imported; the first
that provides all is what ``auto`` takes.
"""

ENGINES = {
    "gram": frozenset({"span"}),
    "weights": frozenset({"span", "coordinates"}),
}
