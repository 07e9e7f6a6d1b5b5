"""Where names come from: a saved answer of the API, or the API itself by openstacksdk."""

import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from warren.core.errors import Invalid, NotFound, Unmet, Unreachable
from warren.inspect.snapshot.names import Names, read_names
from warren.sources.api import AGENTS, COLLECTIONS, ask, from_environment

ENVIRONMENT: Final = "envvars"
"""The cloud that the OS_* variables describe, as openstacksdk calls it."""
FILE_LIMIT_BYTES: Final = 1024 * 1024 * 1024


def names_from(file: str | None, cloud: str | None) -> Names:
    """The names of a file or of a cloud of clouds.yaml; of neither, none."""
    if file is not None:
        return read_names(_saved(Path(file)))
    return read_names(_asked(cloud)) if cloud is not None else Names()


def _saved(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise Invalid("NamesTooLarge", f"{path} is larger than any API's answer")
        answer = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound("NoSuchNames", f"there is no {path}") from error
    except (ValueError, RecursionError, OSError) as error:
        raise Invalid("BadNames", f"{path} is not JSON of the Networking API: {error}") from error
    if not isinstance(answer, dict):
        raise Invalid("BadNames", f"{path} is not an object with networks, ports, routers and floatingips")
    return answer


def _asked(cloud: str) -> dict[str, Any]:
    """Every collection of a cloud's Networking API, as its administrator sees them.

    Raises:
        Unmet: openstacksdk is not installed.
        Unreachable: the cloud did not answer.
    """
    if cloud == ENVIRONMENT:
        return ask(from_environment())
    try:
        openstack = import_module("openstack")
        errors = import_module("openstack.exceptions")
        refused = import_module("keystoneauth1.exceptions").ClientException
    except ImportError as error:
        mend = f"pip install openstacksdk, or --cloud {ENVIRONMENT} with OS_* variables, or --names FILE"
        raise Unmet(f"openstacksdk, which reads clouds.yaml, is not installed: {mend}") from error
    try:
        network = openstack.connect(cloud=cloud).network
        answer = {name: _pages(network, name, errors) for name in COLLECTIONS}
        with suppress(errors.HttpException):
            answer[AGENTS] = _pages(network, AGENTS, errors)
    except (errors.SDKException, refused) as error:
        raise Unreachable(f"cloud {cloud} did not answer: {error}") from error
    return answer


def _pages(network: Any, name: str, errors: Any) -> list[Any]:
    """A collection's raw objects, page by page: `next` links until there is none (Networking API, pagination)."""
    found: list[Any] = []
    url: str | None = f"/{name}"
    while url:
        answer = network.get(url)
        errors.raise_from_response(answer)
        body = answer.json()
        found += body.get(name, [])
        links = body.get(f"{name}_links", [])
        url = next((link["href"] for link in links if link.get("rel") == "next"), None)
    return found
