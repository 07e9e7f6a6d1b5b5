"""The how-to pages show what the commands print: each sample is run, and every line of it must be there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NEUTRON = ROOT / "tests" / "fixtures" / "neutron"
LAST = NEUTRON / "6c-vm1-vm2-ping"
PAGES = ("what-are-all-these-flows.md", "why-does-vm1-not-reach-vm2.md")
ELSEWHERE = {"ssh compute1 sudo ovs-ofctl dump-flows br-tun": "cat neutron/compute1/dump-flows_br-tun"}
"""What runs on a host in the page, and what stands for it here."""
LEFT_OUT = "…"


def samples() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n\$ (.*?)```", (ROOT / "docs" / "how-to" / page).read_text(), re.DOTALL):
            command, _, printed = block.partition("\n")
            if " watch " not in command:  # never ends, and says what happens at its time
                found.append((command, [line for line in printed.splitlines() if line.strip() != LEFT_OUT]))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The estate of the pages: healthy, with an entry of table 20 that points at the wrong host, and at two moments."""
    for name in ("neutron", "neutron-broken", "after"):
        shutil.copytree(LAST, tmp_path / name)
    shutil.copytree(NEUTRON / "1-no-tenant-networks", tmp_path / "before")
    shutil.copy(NEUTRON / "api.json", tmp_path / "neutron-api.json")
    path = tmp_path / "neutron-broken" / "compute1" / "dump-flows_br-tun"
    broken = re.sub(r"(dl_dst=fa:16:3e:df:c9:3b actions=.*),output:2\n", r"\1,output:3\n", path.read_text())
    assert broken != path.read_text()
    path.write_text(broken)
    return tmp_path


def test_there_are_samples() -> None:
    assert len(samples()) >= 9


@pytest.mark.parametrize(("command", "printed"), samples(), ids=[command for command, _ in samples()])
def test_a_command_prints_what_the_page_says(command: str, printed: list[str], folder: Path) -> None:
    for there, here in ELSEWHERE.items():
        command = command.replace(there, here)
    script = f'warren() {{ {sys.executable} -m warren "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert [line for line in printed if line not in done.stdout.splitlines()] == [], done.stderr
