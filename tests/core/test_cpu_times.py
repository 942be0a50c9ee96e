"""How long a guest rests, so that it uses no more of the processor than its share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import cpu_times
from app.core.cpu_times import CpuTimes, RestAccount

_steps = st.lists(
    st.tuples(st.floats(0.01, 5), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30
)


@pytest.mark.parametrize(
    ("used", "others", "wait", "share"),
    [
        (0.1, 0.0, 0.0, 0.3),  # the process does nothing else
        (0.1, 0.25, 0.0, 0.15),
        (0.1, 0.9, 0.0, 0.04),  # it is busy
        (0.1, 0.1, 0.8, 0.04),  # it would be, but another process has the processor
    ],
)
def test_the_share_follows_what_the_process_needs(used: float, others: float, wait: float, share: float) -> None:
    rest = CpuTimes(0, 0, 0, 0).rest_after(CpuTimes(thread=used, process=used + others, wait=wait, at=1))
    assert rest == pytest.approx(used / share - 1)


def test_the_times_of_this_machine_grow() -> None:
    before = CpuTimes.now()
    sum(range(1_000_000))
    after = CpuTimes.now()
    assert after.thread > before.thread and after.process > before.process and after.wait >= before.wait >= 0


@given(_steps)
def test_whoever_rests_as_long_as_owed_uses_no_more_than_the_largest_share(
    steps: list[tuple[float, float, float, float]],
) -> None:
    """Also what goes on while it rests is paid for: by longer rests later."""
    thread, process, at = 0.0, 0.0, 0.0

    def now() -> CpuTimes:
        return CpuTimes(thread, process, 0, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_times.CpuTimes, "now", staticmethod(now))
        account = RestAccount()
        for seconds, used, others, while_resting in steps:
            # Of the seconds of a turn and of a rest, the guest uses a part.
            thread, process, at = thread + used * seconds, process + (used + others) * seconds, at + seconds
            rest = account.seconds()
            part = while_resting * min(rest, 1)
            thread, process, at = thread + part, process + part, at + rest
        while (rest := account.seconds()) > 0.001:
            at += rest
    assert thread <= cpu_times._MAX_CPU_SHARE * at + 0.001
