"""The window: how many messages are unanswered, and which are sent again when."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cloud_sync.lanes import Lane
from cloud_sync.window import SendWindow


def filled(count: int, *, taken: bool = True) -> SendWindow:
    window = SendWindow(100, 30.0, 600.0)
    for sequence in range(1, count + 1):
        window.sent(f"m{sequence}", sequence, 0.0)
        if taken:
            window.taken(f"m{sequence}")
    return window


def names(due: list[tuple[str, int]]) -> list[str]:
    return [message for message, _ in due]


def test_only_the_server_s_answer_makes_room() -> None:
    """SYNC-023."""
    window = filled(100)
    assert window.room(Lane.FRESH) == 0
    window.answered("m7")
    assert window.room(Lane.FRESH) == 1
    assert "m7" not in window


def test_unanswered_messages_are_sent_again_with_growing_waits() -> None:
    """SYNC-024."""
    window = filled(1)
    sent_at = []
    for now in range(3000):
        window.heard(now)  # the server lives, it only does not answer this one
        if names(window.due(now)) == ["m1"]:
            sent_at.append(now)
            window.sent("m1", 1, now)
            window.taken("m1")
    assert sent_at == [30, 90, 210, 450, 930, 1530, 2130, 2730]


def test_when_one_answer_is_lost_only_that_message_is_sent_again() -> None:
    """SYNC-024."""
    window = filled(3)
    window.heard(29.0)
    window.answered("m1")
    window.answered("m3")
    assert window.due(29.5) == []
    assert window.due(31.0) == [("m2", 2)]


def test_a_silent_server_is_asked_with_one_message_ever_more_rarely() -> None:
    """SYNC-025."""
    window = filled(100)
    asked = []
    for now in range(3600):
        for message, sequence in window.due(now):
            asked.append((now, message))
            window.sent(message, sequence, now)
            window.taken(message)
    assert [now for now, _ in asked] == [30, 60, 120, 240, 480, 960, 1560, 2160, 2760, 3360]


def test_a_server_that_wakes_gets_time_before_the_rest_is_sent_again() -> None:
    """SYNC-025."""
    window = filled(100)
    assert len(window.due(1000.0)) == 1
    window.heard(1001.0)
    window.answered("m1")
    assert window.due(1002.0) == []
    window.heard(1025.0)
    assert len(window.due(1032.0)) == 99


def test_what_the_connection_still_carries_is_not_sent_again() -> None:
    """A slow line delivers or breaks; filling it with copies would make it slower."""
    window = filled(5, taken=False)
    assert window.due(10_000.0) == []


def test_after_a_reconnection_what_the_broker_did_not_confirm_is_sent_again() -> None:
    """SYNC-026."""
    window = filled(2)
    window.sent("m3", 3, 1.0)
    window.reconnected(2.0, session_present=True)
    assert window.due(2.0) == [("m3", 3)]


def test_when_the_broker_forgot_us_everything_unanswered_is_sent_again() -> None:
    """SYNC-026."""
    window = filled(3)
    window.reconnected(2.0, session_present=False)
    assert names(window.due(2.0)) == ["m1", "m2", "m3"]


def test_reconnecting_to_a_silent_server_sends_one_message() -> None:
    """SYNC-025: a broker that takes and drops us again and again gets no full window each time."""
    window = filled(100)
    for now in (100.0, 200.0, 300.0):
        window.reconnected(now, session_present=False)
        assert names(window.due(now)) == ["m1"]
    window.heard(301.0)
    window.answered("m1")
    assert len(window.due(301.0)) == 99


class WindowMachine(RuleBasedStateMachine):
    """Any order of events: the window is never overfull, forgets nothing unanswered, and does not flood."""

    def __init__(self) -> None:
        super().__init__()
        self.window = SendWindow(5, 30.0, 600.0)
        self.now = 0.0
        self.next = 1
        self.unanswered: dict[str, int] = {}

    @rule(seconds=st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.window.room(Lane.FRESH) > 0)
    @rule()
    def send_new(self) -> None:
        self.unanswered[f"m{self.next}"] = self.next
        self.window.sent(f"m{self.next}", self.next, self.now)
        self.next += 1

    @rule()
    def send_again(self) -> None:
        due = self.window.due(self.now)
        assert len(due) <= len(self.unanswered)
        assert due == sorted(due, key=lambda pair: pair[1])
        for message, sequence in due:
            assert self.unanswered[message] == sequence
            self.window.sent(message, sequence, self.now)
        assert self.window.due(self.now) == []

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def puback(self, data: st.DataObject) -> None:
        self.window.taken(data.draw(st.sampled_from(sorted(self.unanswered))))

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(sorted(self.unanswered)))
        self.window.heard(self.now)
        self.window.answered(message)
        del self.unanswered[message]

    @rule(present=st.booleans())
    def reconnect(self, present: bool) -> None:
        self.window.reconnected(self.now, session_present=present)

    @invariant()
    def holds_what_is_unanswered(self) -> None:
        assert len(self.window) == len(self.unanswered)
        assert self.window.room(Lane.FRESH) == 5 - len(self.unanswered) >= 0
        assert all(message in self.window for message in self.unanswered)

    def teardown(self) -> None:
        """However it stands: with a new connection and enough time each message comes out again."""
        for _ in range(2):
            self.window.reconnected(self.now, session_present=False)
            self.window.heard(self.now)
            assert {message for message, _ in self.window.due(self.now)} == set(self.unanswered)


TestWindow = WindowMachine.TestCase
TestWindow.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
