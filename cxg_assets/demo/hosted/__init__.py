"""What the Census hosts beside its releases."""
