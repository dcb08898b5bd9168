"""Where the parameters live: as coefficients over the data vectors (gram) or as explicit weights (weights).

ENGINES lists what each engine provides to rules and trackers, so that a config is refused before torch is imported;
``auto`` takes the first engine that provides everything a run needs. A landscape provides less than the two-layer
network on patches: a rule or tracker can use what both the engine and the model of its run provide.
"""

ENGINES = {
    "gram": frozenset({"labels", "patches", "span"}),
    "weights": frozenset({"coordinates", "labels", "patches", "span"}),
}
