import numpy as np
import pytest

from hep2lib.cnn.protobuf import Message, ProtobufError


def test_the_examples_of_the_encodings_description():
    """Field 1 holds 150; field 2 the text "testing"; field 3 a message with 150; field 6 packed integers."""
    message = Message(bytes.fromhex("089601 120774657374696e67 1a03089601 3206038e029ea705"))
    assert message.integer(1) == 150
    assert message.text(2) == "testing"
    assert message.messages(3)[0].integer(1) == 150
    assert message.integers(6) == [3, 270, 86942]


def test_what_is_not_there_is_empty():
    message = Message(b"")
    assert message.integer(1, default=7) == 7
    assert message.text(2) == ""
    assert message.messages(3) == []
    assert message.floats(4).size == 0


def test_negative_integers_take_ten_bytes():
    assert Message(b"\x08" + b"\xff" * 9 + b"\x01").integer(1) == -1


def test_numbers_packed_and_one_by_one():
    values = np.array([1.5, -2.0], "<f4")
    packed = b"\x0a\x08" + values.tobytes()
    single = b"".join(b"\x0d" + value.tobytes() for value in values)
    assert Message(packed).floats(1).tolist() == Message(single).floats(1).tolist() == [1.5, -2.0]
    assert Message(b"\x09" + np.float64(0.1).tobytes()).doubles(1).tolist() == [0.1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x12\x07tes", "ends 4 bytes early"),
        (b"\x0d\x00", "ends 3 bytes early"),
        (b"\x08\x96", "ends within a number"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x0b", "field type 3"),
    ],
)
def test_damaged_bytes_are_refused(data, words):
    with pytest.raises(ProtobufError, match=words):
        Message(data)


def test_a_broken_array_is_refused():
    with pytest.raises(ProtobufError, match="3 bytes are no whole number of values"):
        Message(b"\x0a\x03abc").floats(1)
