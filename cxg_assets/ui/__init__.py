"""What the Dagster UI shows: metadata, schemas, descriptions, pictures, progress."""
