"""`python -m worker.compute.health`: exit 0 if the engine of this machine answers, for container probes."""

import sys
from urllib.parse import urlsplit

import httpx

from core.settings import Settings


def main(settings: Settings) -> int:
    """Ask the engine how it is, on loopback whatever address it listens on."""
    address = settings.engine_address
    secret = settings.engine_secret.get_secret_value() if settings.engine_secret else ""
    if address.startswith("unix:"):
        transport, url = httpx.HTTPTransport(uds=address.removeprefix("unix:")), "http://engine"
    else:
        transport, url = httpx.HTTPTransport(), f"http://127.0.0.1:{urlsplit(address).port}"
    try:
        with httpx.Client(transport=transport, timeout=5, headers={"Authorization": f"Bearer {secret}"}) as client:
            client.get(f"{url}/healthz").raise_for_status()
    except httpx.HTTPError as error:
        sys.stderr.write(f"the engine does not answer: {type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Settings()))
