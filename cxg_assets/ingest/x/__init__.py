"""X of the Census: which rows are read at once, and read as rows in the order that is asked for."""
