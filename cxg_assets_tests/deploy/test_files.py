"""The files of `deploy/`: who services are and what they may do, that no secret is there, and that names are right."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from cxg_assets_tests.servers.deployment import DEPLOY, PAGE, ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KUBERNETES = DEPLOY / "kubernetes"
RAY: dict[str, Any] = yaml.safe_load((KUBERNETES / "ray-cluster.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((KUBERNETES / "dagster-values.yaml").read_text())
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
SECRET = re.compile("PASSWORD|TOKEN|SECRET|ACCESS_KEY")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_and_is_not_root(name: str) -> None:
    service = SERVICES[name]
    ends = service["restart"] == "no"
    assert service["healthcheck"].get("disable", False) is ends
    assert ends or service["healthcheck"]["test"][0] == "CMD"
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_secrets_as_files_alone(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if SECRET.search(variable):
            assert value.startswith("/run/secrets/"), variable
        if "/run/secrets/" in value:
            assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_what_is_published_is_published_on_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_a_service_waits_for_one_that_is_there() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            ends = SERVICES[other]["restart"] == "no"
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_the_page_names_every_variable_and_secret() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    settings = [line.split("=")[0] for file in (DEPLOY / "cluster.env", KUBERNETES / "settings.env") for line in
                file.read_text().splitlines() if re.match(r"[A-Z_]+=", line)]  # fmt: skip
    variables = set(re.findall(r"\$\{([A-Z_]+)", text)) | set(settings)
    said = PAGE.read_text() + (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert variables
    assert {name for name in variables | set(COMPOSE["secrets"]) if f"`{name}`" not in said} == set()


@pytest.mark.parametrize(
    "file", [path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in str(path)]
)
def test_no_file_has_a_secret_in_it(file: Path) -> None:
    for line in file.read_text().splitlines():
        found = re.match(
            r"\s*(?:export )?([A-Za-z_]*(?:PASSWORD|TOKEN|SECRET|ACCESS_KEY)[A-Za-z_]*)\s*[:=]\s*(.+)", line
        )
        if found:
            assert re.match(r"\$|/run/secrets/|\{env|os\.|\.\.\.|token$", found[2]), line


def test_the_image_is_made_of_files_that_are_there_and_of_pinned_packages() -> None:
    copied = [
        words[:-1] for words in (shlex.split(line) for line in re.findall(r"(?m)^COPY (?:--\S+ )?(.*)$", DOCKERFILE))
    ]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in [name for names in copied for name in names]:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in kept, source
    [install] = re.findall(r"(?m)^RUN (pip install .*)$", DOCKERFILE)
    assert install.endswith("-c constraints.txt")
    [extras] = re.findall(r"\.\[([a-z,]+)\]", install)
    with (ROOT / "pyproject.toml").open("rb") as project:
        known = tomllib.load(project)["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    assert "dagster-k8s" in PINNED
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE) == ["cxg"]
    assert PINNED["moto"] == SERVICES["s3"]["image"].rpartition(":")[2]


def test_the_entrypoint_hands_the_password_of_a_file_on(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass/word @ %41\n")
    command = [
        "/bin/sh",
        DEPLOY / "entrypoint.sh",
        "sh",
        "-c",
        'echo "$DAGSTER_PG_PASSWORD ${DAGSTER_PG_PASSWORD_FILE-}"',
    ]
    told = {"DAGSTER_PG_PASSWORD_FILE": str(tmp_path / "password")}
    assert subprocess.run(command, env=told, capture_output=True, text=True, check=True).stdout == "pass/word @ %41 \n"
    assert subprocess.run([*command[:2], "false"], check=False).returncode == 1


def pods() -> Iterator[dict[str, Any]]:
    """What pods of Ray consist of."""
    yield RAY["spec"]["headGroupSpec"]["template"]["spec"]
    for group in RAY["spec"]["workerGroupSpecs"]:
        yield group["template"]["spec"]


def test_rays_pods_are_not_root_and_ask_for_what_they_need() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert RAY["spec"]["rayVersion"] == PINNED["ray"]
    assert RAY["spec"]["authOptions"] == {"mode": "token", "secretName": "cxg-ray-token"}


def test_dagsters_pods_are_not_root_and_run_the_image_of_rays() -> None:
    [deployment] = VALUES["dagster-user-deployments"]["deployments"]
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    [image] = kustomization["images"]
    for pod in (VALUES["dagsterWebserver"], VALUES["dagsterDaemon"], deployment):
        assert pod["podSecurityContext"]["runAsNonRoot"]
        assert (pod["image"]["repository"], pod["image"]["tag"]) == (image["newName"], image["newTag"])
        assert {"cpu", "memory"} <= set(pod["resources"]["requests"])
    assert [one["name"] for one in kustomization["configMapGenerator"]] == [deployment["envConfigMaps"][0]["name"]]
    assert all((KUBERNETES / name).is_file() for name in kustomization["resources"])
    service = f"{RAY['metadata']['name']}-head-svc"
    assert f"RAY_ADDRESS=ray://{service}:10001" in (KUBERNETES / "settings.env").read_text()


def test_the_instance_of_the_chart_has_our_event_log(tmp_path: Path) -> None:
    theirs = {
        "module": "dagster_postgres.event_log",
        "class": "PostgresEventLogStorage",
        "config": {"postgres_url": "x"},
    }
    # The chart writes its own first, then what is added, into one text.
    text = yaml.safe_dump({"event_log_storage": theirs}) + yaml.safe_dump(VALUES["additionalInstanceConfig"])
    (tmp_path / "dagster.yaml").write_text(text)
    found = InstanceRef.from_dir(str(tmp_path)).event_storage_data
    assert found is not None
    assert found.class_name == "ReusingPostgresEventLogStorage"
