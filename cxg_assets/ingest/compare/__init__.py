"""A subset in two releases of the Census: which cells are new, gone or changed, and what else is other."""
