"""Errors: one class a row of the table, with fields as attributes."""

from __future__ import annotations

import pickle

import pytest
import stayline

# errors.md, as numbers and fields; the same table as in C.
TABLE = {
    "InvalidArgument": (100, ["what"]),
    "InvalidSettings": (101, ["first", "second"]),
    "InvalidEvent": (102, ["reason", "bytes"]),
    "NotFound": (200, ["what"]),
    "AlreadyExists": (201, ["execution_id"]),
    "ExecutionInProgress": (202, ["active"]),
    "ExecutionNotActive": (203, ["status"]),
    "InvalidTransition": (204, ["from", "to"]),
    "NoActiveExecution": (205, []),
    "JobConflict": (206, ["active"]),
    "Superseded": (207, []),
    "AlreadyHeld": (210, ["holder", "expires_at"]),
    "WrongHolder": (211, ["holder", "expires_at"]),
    "Unauthorized": (300, []),
    "Full": (400, ["events", "bytes"]),
    "LimitExceeded": (401, ["limit", "value"]),
    "Timeout": (402, []),
    "Closed": (403, []),
    "Disconnected": (404, ["reason"]),
    "StoreInUse": (500, ["pid", "since", "url", "program"]),
    "StoreError": (501, []),
    "StoreUnknown": (502, []),
    "StoreFormat": (503, ["found", "supported"]),
    "ForkError": (600, ["pid"]),
    "Panic": (700, []),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_error_has_its_class(name: str) -> None:
    number, fields = TABLE[name]
    error = getattr(stayline, name)
    assert issubclass(error, stayline.Error)
    assert (error.name, error.number) == (name, number)
    attributes = [field.replace("from", "from_") for field in fields]
    assert list(error.__match_args__) == attributes
    assert error.__module__ == "stayline"
    assert name in stayline.__all__


def test_there_are_no_others() -> None:
    found = {
        value.__name__
        for value in vars(stayline).values()
        if isinstance(value, type) and issubclass(value, stayline.Error)
    }
    assert found == {*TABLE, "Error"}


def test_built_in_bases_where_they_are_natural() -> None:
    assert issubclass(stayline.InvalidArgument, ValueError)
    assert issubclass(stayline.Timeout, TimeoutError)
    assert issubclass(stayline.Error, Exception)


def test_fields_are_attributes_and_the_text_names_the_value() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        session = coordinator.session("s")
        session.start("exc_1")
        with pytest.raises(stayline.ExecutionInProgress) as raised:
            session.start("exc_2")
        error = raised.value
        assert error.fields == {"active": "exc_1"}
        assert error.active == "exc_1"
        assert "exc_1" in str(error)
        assert "wait" in str(error)
        match error:
            case stayline.ExecutionInProgress(active):
                assert active == "exc_1"
        session.attach("exc_1", trusted=True)
        session.finish("exc_1")
        with pytest.raises(stayline.InvalidTransition) as refused:
            session.finish("exc_1", "failed")
        assert refused.value.fields == {"from": "completed", "to": "failed"}
        assert getattr(refused.value, "from") == refused.value.from_ == "completed"


def test_errors_travel_between_processes() -> None:
    with stayline.Coordinator("memory:") as coordinator:
        coordinator.session("s").start("e")
        with pytest.raises(stayline.Error) as raised:
            coordinator.session("s").start("f")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is stayline.ExecutionInProgress
    assert (str(copy), copy.fields) == (str(raised.value), {"active": "e"})


def test_wrong_arguments_say_what_is_wrong() -> None:
    with pytest.raises(stayline.InvalidArgument, match="memory:"):
        stayline.Coordinator("somewhere")
    with stayline.Coordinator("memory:") as coordinator:
        with pytest.raises(stayline.InvalidArgument):
            coordinator.session("")
        with pytest.raises(stayline.InvalidArgument):
            coordinator.session("x" * 300)
        session = coordinator.session("s")
        session.start("e")
        with pytest.raises(stayline.InvalidArgument, match="done"):
            session.finish("e", "done")  # type: ignore[arg-type]
        with pytest.raises(stayline.InvalidEvent):
            session.fail("e", "x", payload={"nan": float("nan")})
        with pytest.raises(TypeError):
            session.fail("e", "x", payload={"object": object()})
        assert session.active == "e"
