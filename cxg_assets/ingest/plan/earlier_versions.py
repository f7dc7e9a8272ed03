"""Headers of plans as earlier versions of this program wrote them."""

from typing import Any


def upgraded_header(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan's header, of which earlier versions told name, parts and size of the subset one by one."""
    if isinstance(fields.get("subset"), dict):
        return fields
    fields = {"encoding_version": 3, **fields}  # the last one that plans did not tell
    if "selection" not in fields:
        fields["selection"] = {
            "organism": fields.pop("organism", None),
            "value_filter": fields.pop("value_filter", None) or None,
            "genes": None,
            "obs_columns": fields.pop("obs_columns", ()),
            "max_obs": None,
            "is_complete": False,
        }
        fields.pop("genes", None)  # in words
    parts = {name: fields.pop(name) for name in ("release", "selection", "n_obs", "n_vars") if name in fields}
    name, fingerprint = fields.pop("subset", None), fields.pop("subset_fingerprint", None)
    unknown = {"n_obs_before": 0, "n_vars_before": 0, "layers": {}}
    return {**fields, "subset": {"name": name, "fingerprint": fingerprint, **parts, **unknown}}
