"""What goes wrong, when: faults drawn by weight from a seeded generator, each healed after its time."""

import time

from tests.chaos.process_faults import ProcessFaults
from tests.chaos.scene import Scene, say
from tests.chaos.server_faults import ServerFaults

# Between two faults.
PAUSE_SECONDS = (0.25, 0.85)
TOLD_EVERY_SECONDS = 10


def harm(scene: Scene, *, seconds: float) -> None:
    """Harm the site for so long, then let everything heal."""
    harmful = ProcessFaults(scene)
    table = harmful.table()
    if scene.site.servers is None:
        table |= harmful.table_of_one_machine()
    else:
        table |= harmful.table_of_many_machines() | ServerFaults(scene, scene.site.servers).table()
    names, weights = list(table), [weight for weight, _ in table.values()]
    began = told = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        scene.schedule.run_due()
        name = scene.random.choices(names, weights)[0]
        detail = table[name][1]()
        if detail is not None:
            scene.note(name, detail)
        if now - told > TOLD_EVERY_SECONDS:
            told = now
            say(f"{scene.site.engine}: {now - began:.0f} of {seconds:.0f} s, {scene.counts.total()} faults")
        time.sleep(scene.random.uniform(*PAUSE_SECONDS))
    scene.schedule.drain()
    if scene.site.servers is not None:
        scene.site.servers.heal()
