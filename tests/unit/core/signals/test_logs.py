"""One fact a line, in either form, whatever the values hold."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
import structlog
from structlog.contextvars import bound_contextvars
from core.signals import logs

logs.configure(sys.argv[1])
log = structlog.get_logger()
with bound_contextvars(job_id="job_1", fence=3):
    log.info("thing.named", name="a\\nlevel=forged \\x1b[31mred\\x1b[0m \\x9b2J \\u2028 \\r end", count=2)
    try:
        raise ValueError("two\\nlines")
    except ValueError:
        log.exception("thing.broke")
log.debug("thing.unimportant")
logging.getLogger("some.library").warning("told\\nby %s", "a library")
logging.getLogger("some.library").info("chatter")
"""


def lines(style: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, check=True)
    assert done.stdout == b""
    return done.stderr.decode().removesuffix("\n").split("\n")


@pytest.mark.parametrize("style", ["auto", "json"])
def test_away_from_a_terminal_every_line_is_a_json_object(style: str) -> None:
    named, broke, library = (json.loads(line) for line in lines(style))
    assert list(named)[:3] == ["timestamp", "level", "event"]
    assert (named["event"], named["level"], named["job_id"], named["fence"], named["count"]) == (
        "thing.named",
        "info",
        "job_1",
        3,
        2,
    )
    assert "ValueError: two" in broke["exception"]
    assert (library["event"], library["logger"], library["level"]) == ("told\nby a library", "some.library", "warning")
    assert "job_id" not in library


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_value_breaks_out_of_its_line_or_steers_a_terminal(style: str) -> None:
    found = lines(style)
    assert len(found) == 3
    assert all(character.isprintable() for line in found for character in line)


def test_people_read_key_and_value() -> None:
    named = lines("text")[0]
    assert "level=info event=thing.named" in named
    assert {"fence=3", "job_id=job_1", "count=2"} <= set(named.split(" "))
