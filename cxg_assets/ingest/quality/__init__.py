"""Quality of cells from their counts: further obs columns, and which cells are kept by them."""
