"""Reading flows: how fast they are parsed, shown, explained and followed, and whether the switch agrees."""

import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from ovs.flow.ofp import OFPFlow

from bench.figure import Figure
from warren.core.errors import Impossible
from warren.inspect.decode import Decoder
from warren.inspect.evaluate.hosts import models_of
from warren.inspect.evaluate.model import Assumed, BridgeModel, Tracking, tables_of
from warren.inspect.evaluate.packet import packet
from warren.inspect.evaluate.run import evaluate
from warren.inspect.parse.dump import read_dump
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.packets import Packets
from warren.testing.random_pipelines import random_pipeline
from warren.testing.referee import host_of, packet_text, verdict

RUNS = 5
FLOWS = 40_000
REFEREED = 100_000
PACKETS_A_PIPELINE = 5_000

_TRACK = "ct(table=72,zone=NXM_NX_REG6[0..15])"
_INGRESS = "->NXM_NX_REG5[],load:0x1->NXM_NX_REG6[],strip_vlan,resubmit(,81)"
_COMMIT = "ct(commit,zone=NXM_NX_REG6[0..15])"
_TUNNEL = "load:0->NXM_OF_VLAN_TCI[],load:0x16f0->NXM_NX_TUN_ID[]"


def _dumped(count: int) -> Iterator[str]:
    """Lines as `ovs-ofctl dump-flows` prints them: a firewall's shape, an address for each port."""
    random = Random(1)
    yield "NXST_FLOW reply (xid=0x4):"
    for number in range(count):
        port = number // 4 + 1
        mac = f"fa:16:3e:{port >> 16 & 255:02x}:{port >> 8 & 255:02x}:{port & 255:02x}"
        octets = f"{port >> 16 & 255}.{port >> 8 & 255}.{port & 255}"
        shape = (
            f"table=71, priority=65,ip,reg5={port:#x},in_port={port},dl_src={mac},nw_src=10.{octets} actions={_TRACK}",
            f"table=60, priority=90,dl_vlan={port % 4094 + 1},dl_dst={mac} actions=load:{port:#x}{_INGRESS}",
            f"table=82, priority=77,ct_state=+new-est,tcp,reg5={port:#x},tp_dst=22 actions={_COMMIT},output:{port}",
            f"table=20, priority=1,vlan_tci=0x0001/0x0fff,dl_dst={mac} actions={_TUNNEL},output:{port % 100}",
        )[number % 4]
        table, _, rest = shape.partition(" ")
        yield (
            f" cookie=0x9156feb866dbe8e2, duration={random.random() * 999:.3f}s, {table} "
            f"n_packets={random.randrange(1 << 20)}, n_bytes={random.randrange(1 << 30)}, idle_age=5, {rest}"
        )


def _parse() -> Iterator[float]:
    lines = list(_dumped(FLOWS))
    print(f"  ovs.flow reads {_peer_parse(lines[1:4001]):,.0f} of these lines a second", file=sys.stderr)
    text = "\n".join(lines)
    for _ in range(RUNS):
        start = time.process_time()
        dump = read_dump(text)
        yield len(dump.flows) / (time.process_time() - start)


def _peer_parse(lines: list[str]) -> float:
    """Open vSwitch's own Python parser on the same lines."""
    start = time.process_time()
    for line in lines:
        OFPFlow(line)
    return len(lines) / (time.process_time() - start)


def _memory() -> Iterator[float]:
    text = "\n".join(_dumped(FLOWS))
    for _ in range(2):
        tracemalloc.start()
        dump = read_dump(text)
        used, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield used / len(dump.flows)


def _process(command: str) -> Iterator[float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump-flows_br-int"
        path.write_text("\n".join(_dumped(FLOWS)))
        for _ in range(RUNS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [sys.executable, "-m", "warren", "flows", command, str(path)], stdout=subprocess.DEVNULL, check=True
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            yield after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _show() -> Iterator[float]:
    return _process("show")


def _explain() -> Iterator[float]:
    return _process("explain")


def _long_path() -> BridgeModel:
    """Ten tables one after the other with 1,000 flows each; the last looks for the frame's address."""
    lines = [
        f"table={table},priority=5,reg{table}={number},dl_dst=00:00:00:00:{number >> 8:02x}:{number & 255:02x} "
        f"actions=load:{number}->NXM_NX_REG{table + 1}[],resubmit(,{table + 1})"
        for table in range(9)
        for number in range(1000)
    ]
    lines += [
        f"table=9,priority=5,dl_dst=00:00:00:00:{number >> 8:02x}:{number & 255:02x} actions=output:2"
        for number in range(1000)
    ]
    lines += [f"table={table},priority=1,ip actions=resubmit(,{table + 1})" for table in range(9)]
    return BridgeModel(name="br0", tables=tables_of(read_dump("\n".join(lines)).flows, Decoder()))


def _evaluate() -> Iterator[float]:
    model = {"br0": _long_path()}
    packets = [
        packet(f"in_port=1,tcp,dl_dst=00:00:00:00:{number >> 8:02x}:{number & 255:02x},nw_dst=10.0.0.1,tp_dst=80")
        for number in range(1000)
    ]
    for _ in range(RUNS):
        start = time.process_time()
        for values in packets:
            outcome = evaluate(model, "br0", values)
            if len(outcome.steps) != 10 or len(outcome.sent) != 1:
                raise Impossible(f"a packet took {len(outcome.steps)} lookups, not ten")
        yield len(packets) / (time.process_time() - start)


def _refereed() -> Iterator[float]:
    """Packets on which evaluator and ofproto/trace did not agree, of `REFEREED` on random tables."""
    disagreed = 0
    with private_ovs() as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "fail_mode=secure")
        for number in range(1, 6):
            ovs.vsctl(
                "add-port", "br0", f"p{number}", "--", "set", "interface", f"p{number}", f"ofport_request={number}"
            )
        ovs.vsctl("set", "port", "p2", "tag=2")
        for seed in range(100, 100 + REFEREED // PACKETS_A_PIPELINE):
            path = ovs.directory / "flows"
            path.write_text("\n".join(random_pipeline(seed)))
            ovs.ofctl("del-flows", "br0")
            ovs.ofctl("add-flows", "br0", str(path))
            models = models_of(host_of(ovs, "OpenFlow10"))
            disagreed += sum(_disagrees(ovs, models, seed))
    yield disagreed


def _disagrees(ovs: PrivateOvs, models: Mapping[str, BridgeModel], seed: int) -> Iterator[bool]:
    packets, ports = Packets(models, seed), ovs.datapath_ports()
    for _ in range(PACKETS_A_PIPELINE):
        bridge, values = packets.next()
        outcome = evaluate(models, bridge, values, Assumed(tracking=Tracking()))
        if outcome.not_modelled:
            continue
        said = ovs.appctl("ofproto/trace", bridge, packet_text(values), *(["--ct-next", "trk,new"] * 8))
        yield bool(verdict(outcome, models, said, ports))


FIGURES = (
    Figure(
        name="inspect-parse",
        what="flows read a second, one core",
        unit="flows/s",
        reach=100_000,
        peer="ovs.flow: about 13,000",
        measure=_parse,
        more_is_better=True,
        needs_root=False,
    ),
    Figure(
        name="inspect-memory",
        what="memory of a flow that was read",
        unit="bytes",
        reach=2048,
        peer="ovs-flowviz: 23,000",
        measure=_memory,
        needs_root=False,
    ),
    Figure(
        name="inspect-show",
        what=f"warren flows show of {FLOWS:,} flows, whole process, one core",
        unit="s",
        reach=2.0,
        peer="ovs-flowviz: about 11",
        measure=_show,
        needs_root=False,
    ),
    Figure(
        name="inspect-explain",
        what=f"warren flows explain of {FLOWS:,} flows, whole process, one core",
        unit="s",
        reach=2.0,
        peer="ovs-flowviz: about 11",
        measure=_explain,
        needs_root=False,
    ),
    Figure(
        name="inspect-evaluate",
        what="packets a second through ten tables with 10,000 flows",
        unit="packets/s",
        reach=5_000,
        peer="",
        measure=_evaluate,
        more_is_better=True,
        needs_root=False,
    ),
    Figure(
        name="inspect-referee",
        what=f"packets of {REFEREED:,} followed otherwise than the switch does",
        unit="packets",
        reach=0,
        peer="",
        measure=_refereed,
        needs_root=False,
    ),
)
