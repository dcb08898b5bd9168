"""What is trained: the network, its activations and the loss. Importing a file of this room imports only that file."""
