"""A published dataset in formats of others, made from its chunks."""
