"""Where the parameters live: as coefficients over the data vectors (gram) or as explicit weights (weights).

ENGINES says what each provides to rules and trackers, so that a config is refused before torch is imported; the first
that provides all is what ``auto`` takes. A landscape has less than the two-layer network on patches: what there is of
a run is what its engine and its model both provide.
"""

ENGINES = {
    "gram": frozenset({"labels", "patches", "span"}),
    "weights": frozenset({"coordinates", "labels", "patches", "span"}),
}
