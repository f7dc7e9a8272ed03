"""Which cells and genes: filters over obs and var, the census index, the filtered subset."""
