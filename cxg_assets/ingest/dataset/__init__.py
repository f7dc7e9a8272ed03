"""The dataset: manifest, card and citations, publishing, loading, pruning."""
