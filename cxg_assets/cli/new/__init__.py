"""What is written for a user to begin with: a project (`init`), the YAML of a subset (`new`), its schema (`schema`)."""
