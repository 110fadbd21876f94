"""The files to start from in docs/scale do what they say, with a torchrun, an srun and an scontrol that only tell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser
from typer.main import get_command

from bertwright.cli.main import app
from bertwright.recipes.recipe import load_recipe

DOCS = Path(__file__).parents[3] / "docs"
SBATCH = DOCS / "scale/slurm.sbatch"

# Tells what it was called with, and leaves what a process of the run would.
_TORCHRUN = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
told = {"arguments": arguments, "patience": os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT")}
pathlib.Path(os.environ["TOLD"]).open("a").write(json.dumps(told) + "\\n")
run = pathlib.Path(arguments[arguments.index("--out") + 1]) / "run"
(run / "checkpoints").mkdir(parents=True, exist_ok=True)
(run / "run.json").touch()
if os.environ.get("STEP"):
    (run / "checkpoints" / f"step-{int(os.environ['STEP']):08d}").mkdir()
sys.exit(int(os.environ.get("CODE", "0")))
"""
# As one task on each of two nodes, one after the other.
_SRUN = 'shift; for node in 0 1; do SLURM_NODEID=$node "$@" || code=$?; STEP=; done; exit ${code:-0}'
_SCONTROL = 'case $1 in show) printf "node7\\nnode8\\n";; requeue) echo "$2" >>"$REQUEUED";; esac'


@dataclass
class Cluster:
    home: Path
    environment: dict[str, str]

    def run(self, command: list[str], **environment: str) -> int:
        done = subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stderr == ""
        return done.returncode

    def told(self) -> list[dict[str, Any]]:
        """Every call of torchrun since this was last asked."""
        path = self.home / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "torchrun.py").write_text(_TORCHRUN)
    torchrun = f'exec {shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / "torchrun.py"))} "$@"'
    for name, script in {"torchrun": torchrun, "srun": _SRUN, "scontrol": _SCONTROL}.items():
        (commands / name).write_text(f"#!/bin/bash\n{script}\n")
        (commands / name).chmod(0o755)
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "TOLD": str(tmp_path / "told"),
        "REQUEUED": str(tmp_path / "requeued"),
    }
    return Cluster(tmp_path, environment)


def check_command(arguments: list[str]) -> tuple[Any, dict[str, Any]]:
    """What torchrun and then bertwright understand of a command line; fails where they do not."""
    launch = get_args_parser().parse_args(arguments)
    assert launch.module
    assert launch.training_script == "bertwright"
    return launch, check_bertwright(launch.training_script_args)


def check_bertwright(arguments: list[str]) -> dict[str, Any]:
    group: Any = get_command(app)
    verb = group.commands[arguments[0]]
    found: dict[str, Any] = verb.make_context(arguments[0], arguments[1:]).params
    if arguments[0] == "pretrain":
        load_recipe(found["recipe"], found["set_"])
    return found


# Slurm.


def submit(cluster: Cluster, **environment: str) -> int:
    """Run the script as Slurm would, with all that lies on the cluster moved into the test's folder."""
    script = SBATCH.read_text().replace("/shared/$USER", str(cluster.home))
    (cluster.home / "job").write_text(script)
    slurm = {"SLURM_JOB_ID": "4321", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "4"}
    return cluster.run(["bash", str(cluster.home / "job")], **slurm, **environment)


def requeued(cluster: Cluster) -> list[str]:
    path = cluster.home / "requeued"
    return path.read_text().splitlines() if path.exists() else []


def test_slurm_sees_every_line_meant_for_it() -> None:
    # It stops reading at the first command.
    head, _, rest = SBATCH.read_text().partition("\nshared=")
    assert len(re.findall(r"^#SBATCH --[a-z-]+(=\S+)?$", head, flags=re.MULTILINE)) == 10
    assert "#SBATCH" not in rest
    assert all(not line or line.startswith("#") for line in head.splitlines())
    before_the_end = int(re.findall(r"--signal=TERM@(\d+)", head)[0])
    assert int(re.findall(r"TORCH_ELASTIC_SHUTDOWN_TIMEOUT=(\d+)", rest)[0]) < before_the_end


def test_slurm_starts_one_torchrun_a_node(cluster: Cluster) -> None:
    assert submit(cluster, STEP="10") == 0
    calls = cluster.told()
    assert [call["patience"] for call in calls] == ["100", "100"]
    for node, call in enumerate(calls):
        launch, pretrain = check_command(call["arguments"])
        assert (launch.nnodes, launch.node_rank, launch.nproc_per_node) == ("2", node, "4")
        assert (launch.master_addr, launch.master_port) == ("node7", 24321)
        assert (pretrain["out"], pretrain["resume"]) == (cluster.home / "model", False)
    assert requeued(cluster) == []


def test_slurm_starts_again_what_came_further(cluster: Cluster) -> None:
    assert submit(cluster, STEP="10", CODE="1") == 1
    assert requeued(cluster) == ["4321"]
    cluster.told()
    assert submit(cluster, STEP="20", CODE="1") == 1
    assert [check_command(call["arguments"])[1]["resume"] for call in cluster.told()] == [True, True]
    assert requeued(cluster) == ["4321", "4321"]


def test_slurm_lets_be_what_came_no_further(cluster: Cluster) -> None:
    assert submit(cluster, CODE="1") == 1
    assert requeued(cluster) == []
    assert submit(cluster, STEP="10") == 0
    assert submit(cluster, CODE="1") == 1
    assert requeued(cluster) == []


# Kubernetes.


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    found = yaml.safe_load_all((DOCS / "scale/kubernetes.yaml").read_text())
    return {each["kind"]: each for each in found}


def pod(objects: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    template = objects["Job"]["spec"]["template"]["spec"]
    (container,) = template["containers"]
    return template, container, {each["name"]: each["value"] for each in container["env"]}


def test_kubernetes_parts_fit_together(objects: dict[str, Any]) -> None:
    job, service, claim = objects["Job"], objects["Service"], objects["PersistentVolumeClaim"]
    template, container, environment = pod(objects)
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(environment["NODES"])
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert service["spec"]["clusterIP"] == "None"
    assert template["subdomain"] == service["metadata"]["name"]
    volumes = {each["name"]: each for each in template["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes.keys()
    assert volumes["shared"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == int(environment["PROCESSES"])
    assert int(environment["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) < template["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("index", [0, 1])
def test_a_pod_starts_and_starts_again(objects: dict[str, Any], cluster: Cluster, index: int) -> None:
    _, container, environment = pod(objects)
    job, service = objects["Job"]["metadata"]["name"], objects["Service"]["metadata"]["name"]
    environment = environment | {"OUT": str(cluster.home / "model"), "JOB_COMPLETION_INDEX": str(index)}
    for again in (False, True):
        assert cluster.run([*container["command"], *container["args"]], **environment) == 0
        (call,) = cluster.told()
        launch, pretrain = check_command(call["arguments"])
        assert (launch.nnodes, launch.node_rank, launch.nproc_per_node) == ("2", index, "8")
        assert launch.master_addr == f"{job}-0.{service}"
        assert pretrain["resume"] is again


# The guide.


def test_every_command_of_the_guide_is_understood() -> None:
    text = (DOCS / "scale.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^ {4,}(?:.* )?bertwright ((?:pretrain|finetune) .*)", text, flags=re.MULTILINE)
    assert len(commands) == 10
    for command in commands:
        line = re.sub(r"\$SET| &$|'$", "", command).replace("$resume", "--resume")
        check_bertwright(shlex.split(line, comments=True))
