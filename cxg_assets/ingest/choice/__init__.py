"""Which of the cells that pass a filter are kept, and which part of a split each belongs to."""
