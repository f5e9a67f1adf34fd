"""The wire format of protocol buffers, as far as weight files need it: ONNX and Caffe store networks so."""

from collections.abc import Iterator

import numpy as np

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}

#: No message of a network's file has so many fields or integers.
_TOO_MANY = 2**22


class ProtobufError(ValueError):
    """Bytes that are no message: truncated, or another kind of file."""


class Message:
    """One message: values by field number, taken from the bytes without copying the long ones.

    Source: protobuf.dev, Encoding. Which number means what is the file format's business.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        """Read all fields of a message.

        Raises:
            ProtobufError: if the bytes end within a field or hold a field of an unknown type.
        """
        self._integers: dict[int, list[int]] = {}
        self._bytes: dict[int, list[memoryview]] = {}
        for count, (number, value) in enumerate(_fields(memoryview(data))):
            if count == _TOO_MANY:
                raise ProtobufError(f"more than {count} fields in one message")
            if isinstance(value, int):
                self._integers.setdefault(number, []).append(value)
            else:
                self._bytes.setdefault(number, []).append(value)

    def messages(self, number: int) -> list["Message"]:
        """The messages in a field, in order."""
        return [Message(value) for value in self._bytes.get(number, [])]

    def texts(self, number: int) -> list[str]:
        """The texts in a field, in order."""
        return [bytes(value).decode("utf-8", "replace") for value in self._bytes.get(number, [])]

    def text(self, number: int) -> str:
        """The last text in a field; empty if there is none."""
        return self.texts(number)[-1] if number in self._bytes else ""

    def data(self, number: int) -> bytes:
        """All bytes in a field, joined."""
        return b"".join(self._bytes.get(number, []))

    def integers(self, number: int) -> list[int]:
        """The signed integers in a field, packed or one by one."""
        packed = [value for part in self._bytes.get(number, []) for value in _varints(part[:_TOO_MANY])]
        values = self._integers.get(number, []) + packed
        return [value - 2**64 if value >= 2**63 else value for value in values]

    def integer(self, number: int, default: int = 0) -> int:
        """The last integer in a field."""
        return ([default, *self.integers(number)])[-1]

    def floats(self, number: int) -> np.ndarray:
        """The floating point numbers in a field, packed or one by one; float32."""
        return _array(self.data(number), "<f4")

    def doubles(self, number: int) -> np.ndarray:
        """The same for numbers of double precision; float64."""
        return _array(self.data(number), "<f8")


def _array(data: bytes, kind: str) -> np.ndarray:
    if len(data) % np.dtype(kind).itemsize:
        raise ProtobufError(f"{len(data)} bytes are no whole number of values")
    return np.frombuffer(data, kind)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in _WIDTHS:
            length = _WIDTHS[kind]
        else:
            raise ProtobufError(f"field type {kind} at byte {position}")
        if position + length > len(data):
            raise ProtobufError(f"the file ends {position + length - len(data)} bytes early")
        yield number, data[position : position + length]
        position += length


def _varints(data: memoryview) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """An integer of seven bits a byte, lowest first; the highest bit says that another byte follows."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ProtobufError("the file ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ProtobufError(f"a number of more than 64 bits at byte {position}")
