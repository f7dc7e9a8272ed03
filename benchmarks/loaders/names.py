"""What the datasets of the loaders are called."""

BUCKET = "datasets"
LARGE, MANY = "cells_10000", "cells_100_files"
