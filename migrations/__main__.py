"""`python -m migrations`: bring the registry that the settings name to the newest revision."""

from core.settings import Settings
from migrations.commands import upgrade

if __name__ == "__main__":
    upgrade(Settings().database_url)
