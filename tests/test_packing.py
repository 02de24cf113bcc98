"""Which cores have room for a thread, where the kernel packs."""

import pytest

from gilplan.model.clock import Clock
from gilplan.model.core import Core
from gilplan.model.new_idle import NewIdle
from gilplan.model.packing import Packing
from gilplan.model.run_queue import RunQueue
from gilplan.model.thread import Thread


@pytest.mark.parametrize(
    # What the core ran, what its threads usually use; what the thread ran, what it usually uses.
    ("ran", "usual", "own", "own_usual", "room"),
    [
        (0.3, 0.0, 0.3, 0.3, True),
        (0.5, 0.0, 0.3, 0.0, False),
        (0.3, 0.5, 0.0, 0.3, False),
        (0.6, 0.3, 0.05, 0.3, True),
    ],
)
def test_room_is_left_by_what_ran_and_by_what_usually_does(
    ran: float, usual: float, own: float, own_usual: float, room: bool
):
    clock = Clock()
    core = Core(clock, 0, RunQueue(base_slice=1_400_000, tick=4_000_000), NewIdle(lambda: 0))
    thread = Thread(clock, index=0)
    core.utilisation.shift(ran)
    core.usual_utilisation = usual
    thread.utilisation.shift(own - thread.utilisation.average())
    thread.usual_utilisation = own_usual
    assert Packing(0.7).has_room(core, thread) is room
