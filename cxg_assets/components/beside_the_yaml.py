"""Files that a subset's YAML names, which lie beside it."""

import dagster as dg

from cxg_assets.ingest.errors import BadInput, shown, shown_text


def beside_the_yaml(context: dg.ResolutionContext, path: str, attribute: str) -> str:
    """A file, which lies in the folder of its YAML or below, also when links are followed.

    A subset is its folder: it works on another machine, and no YAML can make another file appear in messages.
    """
    folder = context.resolve_source_relative_path(".").resolve()
    try:
        file = (folder / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise BadInput(f"{attribute}: {shown(path)} is not the name of a file: {shown_text(str(error))}") from error
    if not file.is_relative_to(folder):
        raise BadInput(f"{attribute}: {shown(path)} is outside of the folder of its YAML, {folder}; put the file there")
    return str(file)
