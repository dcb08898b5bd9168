"""The weight engine: explicit parameters, gradients by autograd. Slow and obvious: the oracle of the Gram engine."""
