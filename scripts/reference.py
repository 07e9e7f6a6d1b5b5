"""Write the pages of docs/reference that are printed from declarations. With --check, only say which are stale."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from warren.core.ids import LocalVlan, OfPort
from warren.core.names import qvo
from warren.core.state import TunnelMode
from warren.pipeline import Flow, Layout, PhysicalNetwork, SwitchView, br_ex, render
from warren.pipeline.br_int import tables as int_tables
from warren.pipeline.br_tun import tables as tun_tables
from warren.pipeline.reference import Page, markdown
from warren.testing.states import NETWORKS, PHYSICAL_NETWORK, full_scene, plugged_as

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"
LAYOUT: Final = Layout(local_ip="10.9.0.1", physical_networks={PHYSICAL_NETWORK: PhysicalNetwork(bridge="br-ex")})
OFPORTS: Final = {
    "br-int": {"patch-tun": OfPort(1), "int-br-ex": OfPort(2), **{plugged_as(n): OfPort(10 + n) for n in range(1, 9)}},
    "br-tun": {"patch-int": OfPort(1), "vxlan-0a090002": OfPort(2), "vxlan-0a090003": OfPort(3)},
    "br-ex": {"phy-br-ex": OfPort(1)},
}


def examples(bridge: str) -> tuple[Flow, ...]:
    """The flows of a host with something of everything, in both modes."""
    found: dict[tuple[object, str], Flow] = {}
    for mode in TunnelMode:
        scene = full_scene(mode)
        view = SwitchView(
            ofports={**OFPORTS, "br-tun": {**OFPORTS["br-tun"], "gre-0a090002": OfPort(4)}},
            interfaces={port: qvo(port) for port in scene.plugged},
            local_vlans={network.id: LocalVlan(number) for number, network in enumerate(NETWORKS, 1)},
        )
        for flow in render(scene.state, view, LAYOUT)[bridge].desired.values():
            found.setdefault((flow.key, flow.actions), replace(flow, reason=_said(flow, mode)))
    return tuple(found.values())


def _said(flow: Flow, mode: TunnelMode) -> str:
    return f"{flow.reason} ({mode.value})" if flow.table in (10, 20, 21, 22) else flow.reason


def pages() -> Iterator[tuple[str, str]]:
    """(file name, text)."""
    bridges = (
        Page(
            bridge="br-int",
            purpose="Wires the ports of this host to their networks. A port without flows here is dead, both ways.",
            tables=int_tables.PIPELINE,
            fields=int_tables.FIELDS,
            examples=examples("br-int"),
        ),
        Page(
            bridge="br-tun",
            purpose="Carries frames of VXLAN and GRE networks between hosts, in the mode `learning` or `l2pop`.",
            tables=tun_tables.PIPELINE,
            examples=examples("br-tun"),
        ),
        Page(
            bridge="br-ex",
            purpose="Leads to a physical network: a plain switch, but for the tags of this host's networks.",
            tables=br_ex.PIPELINE,
            examples=examples("br-ex"),
        ),
    )
    for page in bridges:
        yield f"{page.bridge}.md", markdown(page)


def main() -> int:
    stale = []
    for name, text in pages():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if stale:
        verb = "stale" if "--check" in sys.argv else "written"
        print(f"{verb}: {', '.join(stale)}" + (" (run scripts/reference.py)" if verb == "stale" else ""))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
