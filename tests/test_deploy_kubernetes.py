"""deploy/kubernetes held against the settings and the rules of the house."""

import re
from pathlib import Path
from typing import Any

import yaml
from test_deploy import DEPLOY, HOUSE, SECRET, known_variables

MANIFESTS = DEPLOY / "kubernetes"
APP = {"app.kubernetes.io/name": "frontdesk"}
KINDS = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


def manifests() -> dict[str, dict[str, Any]]:
    files = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(MANIFESTS.glob("*.yaml"))]
    return {file["kind"]: file for file in files}


def pod() -> dict[str, Any]:
    return manifests()["Deployment"]["spec"]["template"]["spec"]


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    return only


def test_every_kind_is_there_once_in_its_current_version() -> None:
    assert {kind: file["apiVersion"] for kind, file in manifests().items()} == KINDS
    assert len(list(MANIFESTS.glob("*.yaml"))) == len(KINDS)
    assert {file["metadata"]["name"] for file in manifests().values()} == {"frontdesk"}


def test_the_configuration_is_known_to_settings_and_holds_no_secret() -> None:
    plain, secret = manifests()["ConfigMap"]["data"], manifests()["Secret"]["stringData"]
    assert set(plain) | set(secret) <= known_variables()
    assert all(isinstance(value, str) for value in plain.values())
    assert not [name for name in plain if SECRET.search(name) or name.endswith("DATABASE_URL")]
    assert set(secret.values()) == {""}
    assert "FRONTDESK_VAULT_KEY" in secret


def test_everything_selects_the_same_pods() -> None:
    found = manifests()
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == APP
    assert found["Deployment"]["spec"]["template"]["metadata"]["labels"] == APP
    assert found["Service"]["spec"]["selector"] == APP
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == APP
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == APP
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    assert [next(iter(source.values()))["name"] for source in container()["envFrom"]] == ["frontdesk", "frontdesk"]


def test_the_probes_ask_what_the_server_answers() -> None:
    source = (HOUSE / "api" / "probes.py").read_text("utf-8")  # not imported: that costs seconds
    routes = set(re.findall(r'@router\.get\("(/\w+)"', source))
    asked = {name: container()[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(asked.values()) <= routes
    assert manifests()["Service"]["spec"]["ports"][0]["targetPort"] == container()["ports"][0]["name"]


def test_a_pod_has_no_rights_and_is_bounded() -> None:
    assert pod()["automountServiceAccountToken"] is False
    context = pod()["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container()["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container()["resources"]["limits"]) >= {"cpu", "memory"}
    assert ":latest" not in container()["image"]
    assert {mount["name"] for mount in container()["volumeMounts"]} == {volume["name"] for volume in pod()["volumes"]}
    user = (Path(DEPLOY) / "Dockerfile").read_text("utf-8").split("USER ")[1].split(":")[0]
    assert context["runAsUser"] == int(user)


def test_a_pod_has_time_to_finish_its_turns_before_it_is_killed() -> None:
    grace = pod()["terminationGracePeriodSeconds"]
    wait = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert grace > wait + float(manifests()["ConfigMap"]["data"]["FRONTDESK_SHUTDOWN_TIMEOUT"])


def test_updates_and_drains_keep_pods_that_answer() -> None:
    deployment, hpa = manifests()["Deployment"]["spec"], manifests()["HorizontalPodAutoscaler"]["spec"]
    assert "replicas" not in deployment
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert hpa["minReplicas"] > manifests()["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    assert hpa["maxReplicas"] > hpa["minReplicas"]


def test_the_network_policy_denies_what_it_does_not_name() -> None:
    policy = manifests()["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule.get("from") for rule in policy["ingress"])
    assert all(rule.get("to") and rule.get("ports") for rule in policy["egress"])
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    for url in manifests()["ConfigMap"]["data"].values():
        if url.startswith("http"):
            assert int(url.split(":")[2].split("/")[0]) in ports, url
