"""The weight engine: explicit parameters, gradients by autograd. Slow and simple: the reference for the Gram engine."""
