"""An ONNX file as a graph: which node makes which value from which, and the constants among the values."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .protobuf import Message, ProtobufError

#: Element types of onnx.proto that weights and shapes come in.
_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}

#: Operators that hand their first input on, as far as this package is concerned.
_PASSED = {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}

Attribute = int | float | str | list[int] | np.ndarray


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        op: ONNX's name of the operator, for example "Conv".
        inputs: names of the values it takes.
        attributes: its parameters by name.
    """

    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Attribute]

    def number(self, name: str, default: float) -> float:
        """A number among the attributes."""
        value = self.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of integers among the attributes."""
        value = self.attributes.get(name)
        return tuple(value) if isinstance(value, list) else default


class Graph:
    """The graph of an ONNX file.

    Attributes:
        inputs: names of the values that come from outside.
        output: name of its first result.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ProtobufError: if it is damaged or no ONNX file.
        """
        graphs = Message(path.read_bytes()).messages(7)
        if not graphs or not graphs[-1].messages(1) or not graphs[-1].messages(12):
            raise ProtobufError("it holds no graph")
        graph = graphs[-1]
        self._initializers = {tensor.text(8): tensor for tensor in graph.messages(5)}
        self._nodes: dict[str, Node] = {}
        for entry in graph.messages(1):
            node = Node(entry.text(4), tuple(entry.texts(1)), _attributes(entry))
            for output in entry.texts(2)[:1]:
                self._nodes[output] = node
        named = [value.text(1) for value in graph.messages(11)]
        self.inputs = [name for name in named if name not in self._initializers]
        self.output = graph.messages(12)[0].text(1)

    def source(self, name: str) -> str:
        """The value that ``name`` is a mere copy or rearrangement of."""
        for _ in self._nodes:  # so often at most: a damaged file may go round in circles
            node = self._nodes.get(name)
            if node is None or node.op not in _PASSED or not node.inputs:
                break
            name = node.inputs[0]
        return name

    def node(self, name: str) -> Node | None:
        """What computes ``source(name)``; None for an input or a constant."""
        return self._nodes.get(self.source(name))

    def constant(self, name: str, depth: int = 8) -> np.ndarray | None:
        """The value of ``name`` if it is a constant, rearranged at most ``depth`` times."""
        if name in self._initializers:
            return _tensor(self._initializers[name])
        node = self._nodes.get(name)
        if node is not None and node.op == "Constant":
            value = node.attributes.get("value")
            return value if isinstance(value, np.ndarray) else None
        if node is None or node.op not in {"Transpose", *_PASSED} or not depth:
            return None
        # At most a value and its shape: a damaged file may branch without end.
        values = [self.constant(other, depth - 1) for other in node.inputs[:2]]
        if not values or any(value is None for value in values):
            return None
        return _folded(node, [value for value in values if value is not None])


def _folded(node: Node, values: list[np.ndarray]) -> np.ndarray | None:
    """The result of a rearrangement of constants."""
    value = values[0]
    if node.op == "Reshape":
        shape = values[1] if len(values) > 1 else np.array(node.numbers("shape", ()))
        return value.reshape([value.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)])
    if node.op == "Transpose":
        return value.transpose(node.numbers("perm", tuple(reversed(range(value.ndim)))))
    if node.op == "Flatten":
        axis = int(node.number("axis", 1))
        return value.reshape(int(np.prod(value.shape[:axis])), -1)
    return value if node.op in _PASSED else None


def _attributes(node: Message) -> dict[str, Attribute]:
    """The attributes of a node; those of types that no network here uses are left out."""
    found: dict[str, Attribute] = {}
    for entry in node.messages(5):
        name, kind = entry.text(1), entry.integer(20)
        if kind == 1:
            found[name] = float(entry.floats(2)[0])
        elif kind == 2:
            found[name] = entry.integer(3)
        elif kind == 3:
            found[name] = entry.text(4)
        elif kind == 4:
            found[name] = _tensor(entry.messages(5)[0])
        elif kind == 7:
            found[name] = entry.integers(8)
    return found


def _tensor(tensor: Message) -> np.ndarray:
    name, kind, shape = tensor.text(8), tensor.integer(2), tensor.integers(1)
    if tensor.integer(14) == 1:
        raise ProtobufError(f"the values of {name} are in another file: save the model as a single one")
    if kind not in _TYPES:
        raise ProtobufError(f"{name} is of element type {kind}, which no weights of this network have")
    raw = tensor.data(9)
    if raw:
        values = np.frombuffer(raw, _TYPES[kind]) if len(raw) % np.dtype(_TYPES[kind]).itemsize == 0 else None
    elif kind == 1:
        values = tensor.floats(4)
    elif kind == 11:
        values = tensor.doubles(10)
    else:
        values = np.array(tensor.integers(5 if kind in (6, 10) else 7), np.int64)
        values = values.astype(np.uint16).view("<f2") if kind == 10 else values
    if values is None or values.size != np.prod(shape, dtype=np.int64):
        raise ProtobufError(f"{name} does not have the numbers that its shape {tuple(shape)} needs")
    return values.reshape(shape)
