"""The language of filters over obs and var: its grammar, its meaning, and the labels that a filter overlooks."""
