"""`make secrets`: write docker/secrets/ with random passwords, once. What is there already stays."""

import os
import secrets
from pathlib import Path

FOLDER = Path(__file__).parent / "secrets"


def main() -> None:
    """Write every secret that is not there yet."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    postgres, redis = _password("postgres_password"), _password("redis_password")
    _write("strata_database_url", f"postgresql+psycopg://strata:{postgres}@postgres/strata")
    _write("strata_broker_url", f"redis://:{redis}@redis:6379/0")
    _password("strata_engine_secret")


def _password(name: str) -> str:
    return _write(name, secrets.token_urlsafe(32))


def _write(name: str, content: str) -> str:
    """Return the secret's content: what is there, or else ``content``, now written."""
    path = FOLDER / name
    try:
        # Containers read it as another user: the folder's mode is what guards it on the host.
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return path.read_text(encoding="utf-8")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    return content


if __name__ == "__main__":
    main()
