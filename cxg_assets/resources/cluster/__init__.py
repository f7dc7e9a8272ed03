"""What a run needs on machines that others keep: a Ray cluster that is joined, or asked of Kubernetes."""
