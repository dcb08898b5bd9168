"""The data models of patches at small sizes, for tests of all of them."""

from dataclasses import fields

from featlearn.data import DATA, has_patches

PATCH_MODELS = {word: cls for word, cls in DATA.items() if has_patches(cls)}
LEAST = {
    "spurious": {"n_patches": 3},
    "multi_view": {"n_patches": 4, "dim": 7},
}  # where a size has a larger least value than in the others


def small(cls, **numbers):
    """A model with those of the numbers that it has, sizes raised to its least ones."""
    names, word = {field.name for field in fields(cls)}, next((w for w, c in DATA.items() if c is cls), "")
    least = LEAST.get(word, {})
    own = {name: max(x, least[name]) if name in least else x for name, x in numbers.items() if name in names}
    return cls(**own)
