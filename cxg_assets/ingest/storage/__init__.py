"""Where files lie: one store for folders and S3, what may be repeated, temporary files, feather files."""
