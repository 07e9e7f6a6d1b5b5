"""What a lab consists of right now, as a value that scripts read."""

from typing import TypedDict

from warren.lab import control, machine, switch
from warren.lab.directory import LabDirectory
from warren.lab.instances import load_all


class ServerStatus(TypedDict):
    """Where the API is, and its process; None when it has ended."""

    url: str
    pid: int | None


class HostStatus(TypedDict):
    """A host; a process number is None when that process has ended."""

    name: str
    role: str
    vtep: str
    agent_pid: int | None
    ovs_pids: dict[str, int]
    run_dir: str


class InstanceStatus(TypedDict):
    """An instance that was booted."""

    name: str
    host: str
    kind: str
    port_id: str
    address: str
    pid: int | None


class LabStatus(TypedDict):
    """A lab that is up."""

    name: str
    id: str
    directory: str
    tunnel: str
    mode: str
    plug: str
    ageing_s: int
    datapath_type: str
    clouds_yaml: str
    server: ServerStatus
    hosts: list[HostStatus]
    instances: list[InstanceStatus]


def read(lab: LabDirectory) -> LabStatus:
    """Look at every process and file of the lab."""
    return LabStatus(
        name=lab.plan.name,
        id=lab.lab_id,
        directory=str(lab.path),
        tunnel=lab.plan.tunnel.value,
        mode=lab.plan.mode.value,
        plug=lab.plan.plug.value,
        ageing_s=lab.plan.ageing_s,
        datapath_type=machine.datapath_type(),
        clouds_yaml=str(lab.clouds_yaml),
        server=ServerStatus(url=control.access(lab).url, pid=lab.living(lab.path / "server.pid")),
        hosts=[
            HostStatus(
                name=host.name,
                role=host.role,
                vtep=host.vtep_ip,
                agent_pid=lab.living(lab.host(host.name) / "agent.pid"),
                ovs_pids=switch.pids(lab, host.name),
                run_dir=str(lab.host(host.name) / "run"),
            )
            for host in lab.plan.hosts
        ],
        instances=[
            InstanceStatus(
                name=instance.name,
                host=instance.host,
                kind=instance.kind.value,
                port_id=instance.port_id,
                address=instance.address,
                pid=lab.living(instance.pid_file),
            )
            for instance in load_all(lab).values()
        ],
    )
