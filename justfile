# What a contributor and the continuous integration run. `just` alone lists it.

[private]
default:
    @just --list --unsorted

# Install the package for work on it, in the environment that is active
setup:
    pip install -e ".[dev]" -c constraints.txt

# Install the git hooks: lint before a commit, types before a push
hooks:
    pre-commit install --hook-type pre-commit --hook-type pre-push

# Check style, names, docstrings and imports
lint:
    ruff check .

# Check types
types:
    pyright

# Run all tests, or those that are named: just test -n 0 cxg_assets_tests/cli
test *arguments:
    pytest {{ arguments }}

# Run the tests that need no Ray, runs of a Dagster instance, UI, browser, service of the system, or other programs
test-quick *arguments:
    pytest -m "not stack" {{ arguments }}

# Build the pages of docs/ into build/docs; a warning is an error
docs:
    mkdocs build --strict

# Run what has to pass before a change is merged; .ci/run runs it in a fresh environment
ci: lint types docs test
