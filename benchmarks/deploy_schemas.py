"""`python -m benchmarks.deploy_schemas --compose FILE --ray-cluster FILE`: `deploy/` by its readers' schemas.

Neither schema is in this repository: `schema/compose-spec.json` is in that of the Compose specification,
`ray-operator/config/crd/bases/ray.io_rayclusters.yaml` in KubeRay's. Of a manifest no unknown names are accepted, which
Kubernetes would drop.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

DEPLOY = Path(__file__).parents[1] / "deploy"


def main() -> None:
    """Prints what is wrong, and ends with 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy_schemas", description=__doc__)
    parser.add_argument("--compose", type=Path, required=True)
    parser.add_argument("--ray-cluster", type=Path, required=True)
    options = parser.parse_args()
    definition = yaml.safe_load(options.ray_cluster.read_text())
    [schema] = [one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema["properties"]["metadata"] = {}  # Kubernetes' own
    checked = {
        "compose.yaml": json.loads(options.compose.read_text()),
        "kubernetes/ray-cluster.yaml": strict(schema),
    }
    n_wrong = 0
    for name, schema in checked.items():
        for error in Draft202012Validator(schema).iter_errors(yaml.safe_load((DEPLOY / name).read_text())):
            n_wrong += 1
            print(f"{name}: {'.'.join(map(str, error.path))}: {error.message:.200}")
        print(f"{name}: looked at")
    sys.exit(n_wrong > 0)


def strict(schema: Any) -> Any:
    """The schema of a Kubernetes definition as JSON schema, without unknown names in objects that list theirs."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(part) for name, part in schema.items()}
    if found.pop("x-kubernetes-int-or-string", False):
        found["type"] = ["integer", "string"]
    if "properties" in found and found.get("type") == "object" and "additionalProperties" not in found:
        found["additionalProperties"] = bool(found.get("x-kubernetes-preserve-unknown-fields", False))
    return found


if __name__ == "__main__":
    main()
