"""The `strata` command."""

from strata.cli.app import main as main
