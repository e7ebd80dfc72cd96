"""The operators of all-MiniLM-L6-v2 with weights and activations of eight bits, as an ONNX graph.

The architecture is the published one: BERT (Devlin et al. 2019, arXiv:1810.04805) with the exact, erf-based
GELU, six layers of width 384 with twelve heads; then, as Sentence-BERT does (Reimers and Gurevych 2019,
arXiv:1908.10084), the mean over a text's tokens, scaled to length one. Only operators of the ONNX standard
are used. Each dense step quantises its input token by token, so a vector does not depend on what else is in
its batch, and multiplies integers: their sums are exact, so they are the same on every processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from quantization import HEADS, LAYERS, WIDTH, QuantizedDense, QuantizedModel

LAYER_NORM_EPSILON = 1e-12
NORM_FLOOR = 1e-12
"""The vector is divided by at least this, as `torch.nn.functional.normalize` does."""
MASKED = -3.4028234663852886e38
"""Added to the scores of padding: the lowest float32, so that its softmax is exactly zero."""
OPSET, IR_VERSION = 20, 9
"""Opset 20 is the first that has Gelu; both are read by onnxruntime 1.17 and everything after it."""
ALIGNMENT = 64  # bytes, of each tensor in the weights file
MAX_INLINE = 64  # bytes of a tensor that stands in the graph itself
WEIGHTS_NAME = "weights.bin"


class Graph:
    """Nodes, initializers and the bytes of the weights file, in the order in which they are asked for."""

    def __init__(self) -> None:
        self.weights = bytearray()
        self._initializers: dict[str, TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []

    def tensor(self, name: str, values: np.ndarray) -> str:
        """Declare a constant; a large one is written to the weights file."""
        if name not in self._initializers:
            values = np.array(values, order="C")
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            tensor = TensorProto(name=name, data_type=kind, dims=values.shape)
            if values.nbytes <= MAX_INLINE:
                tensor.raw_data = values.tobytes()
            else:
                self.weights += bytes(-len(self.weights) % ALIGNMENT)
                place = {"location": WEIGHTS_NAME, "offset": len(self.weights), "length": values.nbytes}
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in place.items():
                    tensor.external_data.add(key=key, value=str(value))
                self.weights += values.tobytes()
            self._initializers[name] = tensor
        return name

    def numbers(self, name: str, *values: int) -> str:
        """A short list of integers, such as a shape."""
        return self.tensor(name, np.array(values, np.int64))

    def index(self, name: str, value: int) -> str:
        return self.tensor(name, np.array(value, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.tensor(name, np.array(value, np.float32))

    def add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        """Append one node; returns the name of what it computes."""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def model(self) -> onnx.ModelProto:
        """Token ids and mask, both (texts, tokens), to vectors (texts, 384) and (texts, tokens, 384)."""
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2-int8",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"]),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["texts", "tokens"]),
            ],
            [
                helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", WIDTH]),
                helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["texts", "tokens", WIDTH]),
            ],
            list(self._initializers.values()),
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="sediment-mcp"
        )


def layer_norm(graph: Graph, model: QuantizedModel, prefix: str, output: str, source: str) -> str:
    scale, bias = (
        graph.tensor(f"{prefix}.{part}", model.floats[f"{prefix}.{part}"]) for part in ("weight", "bias")
    )
    return graph.add("LayerNormalization", output, source, scale, bias, epsilon=LAYER_NORM_EPSILON)


def quantize_tokens(graph: Graph, dense: QuantizedDense, name: str, source: str) -> tuple[str, str]:
    """Each row as bytes, and the step of each row, (rows, 1): the row is (bytes - zero) * step."""
    last = graph.numbers("last", -1)
    if dense.offset:
        source = graph.add("Add", f"{name}.raised", source, graph.scalar("offset", dense.offset))
    if dense.input_scale is not None:
        factors = graph.tensor(f"{name}.input_scale", dense.input_scale)
        source = graph.add("Mul", f"{name}.smoothed", source, factors)
    sizes = source if dense.offset else graph.add("Abs", f"{name}.sizes", source)
    largest = graph.add("ReduceMax", f"{name}.largest", sizes, last, keepdims=1)
    unit = graph.scalar(f"unit_{dense.levels}", 1 / dense.levels)
    steps = graph.add("Mul", f"{name}.steps", largest, unit)
    flat = graph.add("Squeeze", f"{name}.flat_steps", steps, last)
    zeros = [] if dense.offset else ["zeros"]
    return graph.add("QuantizeLinear", f"{name}.bytes", source, flat, *zeros, axis=0), steps


def multiply(graph: Graph, dense: QuantizedDense, name: str, output: str, source: str) -> str:
    """``source @ weight.T + bias`` over rows."""
    row_bytes, steps = quantize_tokens(graph, dense, name, source)
    zero = [] if dense.offset else ["zero_byte"]
    weight = graph.tensor(f"{name}.weight", dense.weight.T)
    sums = graph.add("MatMulInteger", f"{name}.sums", row_bytes, weight, *zero)
    product = graph.add("Cast", f"{name}.product", sums, to=TensorProto.FLOAT)
    scaled = graph.add("Mul", f"{name}.scaled", product, graph.tensor(f"{name}.scale", dense.scale))
    rows = graph.add("Mul", f"{name}.rows", scaled, steps)
    return graph.add("Add", output, rows, graph.tensor(f"{name}.bias", dense.bias))


def embeddings(graph: Graph, model: QuantizedModel) -> str:
    """Word, position and token-type vectors, added and normalised: (texts * tokens, 384)."""
    zero = graph.numbers("first", 0)
    row_bytes = graph.add("Gather", "word_bytes", graph.tensor("words", model.words), "input_ids")
    steps = graph.add("Gather", "word_steps", graph.tensor("words.scale", model.word_scale), "input_ids")
    words = graph.add(
        "Mul", "words_read", graph.add("Cast", "word_floats", row_bytes, to=TensorProto.FLOAT), steps
    )
    length = graph.add("Shape", "length", "input_ids", start=1)
    positions = graph.add("Slice", "positions", graph.tensor("places", model.places), zero, length, zero)
    placed = graph.add("Add", "placed", words, positions)
    normal = layer_norm(graph, model, "embeddings.LayerNorm", "normal", placed)
    return graph.add("Reshape", "rows", normal, graph.numbers("as_rows", -1, WIDTH))


def mask(graph: Graph) -> tuple[str, str]:
    """The mask as floats (texts, tokens), and as what is added to scores (texts, 1, 1, tokens)."""
    kept = graph.add("Cast", "kept", "attention_mask", to=TensorProto.FLOAT)
    dropped = graph.add("Sub", "dropped", graph.scalar("unity", 1.0), kept)
    penalty = graph.add("Mul", "penalty", dropped, graph.scalar("masked", MASKED))
    return kept, graph.add("Unsqueeze", "penalties", penalty, graph.numbers("heads_and_rows", 1, 2))


def attention(graph: Graph, layer: str, joined: str, penalties: str) -> str:
    """Scaled dot-product attention over twelve heads (Vaswani et al. 2017, equation 1).

    ``joined`` are queries, keys and values side by side; the scale is already in the queries' weights.
    """
    parts = graph.add(
        "Transpose",
        f"{layer}.parts",
        graph.add("Reshape", f"{layer}.split", joined, "split"),
        perm=[2, 0, 3, 1, 4],
    )
    query, key, value = (
        graph.add("Gather", f"{layer}.{part}", parts, graph.index(f"part_{number}", number), axis=0)
        for number, part in enumerate(("query", "key", "value"))
    )
    turned = graph.add("Transpose", f"{layer}.key.turned", key, perm=[0, 1, 3, 2])
    scores = graph.add("MatMul", f"{layer}.scores", query, turned)
    shares = graph.add(
        "Softmax", f"{layer}.shares", graph.add("Add", f"{layer}.penalised", scores, penalties), axis=-1
    )
    mixed = graph.add("MatMul", f"{layer}.mixed", shares, value)
    ordered = graph.add("Transpose", f"{layer}.ordered", mixed, perm=[0, 2, 1, 3])
    return graph.add("Reshape", f"{layer}.joined", ordered, graph.numbers("as_rows", -1, WIDTH))


def encoder_layer(graph: Graph, model: QuantizedModel, number: int, rows: str, penalties: str) -> str:
    """One layer: attention, then two dense steps, each followed by a residual sum and a normalisation."""
    layer, dense = f"encoder.layer.{number}", model.layers[number]
    joined = multiply(graph, dense["attention"], f"{layer}.attention", f"{layer}.attention.joined", rows)
    mixed = attention(graph, layer, joined, penalties)
    attended = multiply(graph, dense["output"], f"{layer}.output", f"{layer}.attended", mixed)
    summed = graph.add("Add", f"{layer}.attention.sum", attended, rows)
    middle = layer_norm(graph, model, f"{layer}.attention.output.LayerNorm", f"{layer}.middle", summed)
    bent = graph.add(
        "Gelu", f"{layer}.bent", multiply(graph, dense["wide"], f"{layer}.wide", f"{layer}.wide.out", middle)
    )
    narrow = multiply(graph, dense["narrow"], f"{layer}.narrow", f"{layer}.narrow.out", bent)
    again = graph.add("Add", f"{layer}.sum", narrow, middle)
    return layer_norm(graph, model, f"{layer}.output.LayerNorm", f"{layer}.normal", again)


def pool(graph: Graph, tokens: str, kept: str) -> str:
    """Mean over the tokens that are not padding, scaled to length one: (texts, 384).

    The mean's divisor is left out: the scaling that follows undoes any factor.
    """
    weights = graph.add("Unsqueeze", "weights", kept, graph.numbers("second", 1))
    total = graph.add("MatMul", "total", weights, tokens)
    vector = graph.add("Squeeze", "vector", total, graph.numbers("second", 1))
    norm = graph.add("ReduceL2", "norm", vector, graph.numbers("second", 1), keepdims=1)
    floored = graph.add("Max", "floored", norm, graph.scalar("floor", NORM_FLOOR))
    return graph.add("Div", "embedding", vector, floored)


def build_graph(model: QuantizedModel) -> tuple[bytes, bytes]:
    """The whole graph as the bytes of an ONNX file, and those of its weights file."""
    graph = Graph()
    kept, penalties = mask(graph)
    rows = embeddings(graph, model)
    row_count = graph.add("Shape", "row_count", rows, start=0, end=1)
    zero = graph.tensor("zero_byte", np.array(128, np.uint8))
    graph.add("Expand", "zeros", zero, row_count)
    shape = graph.add("Shape", "shape", "input_ids")
    graph.add("Concat", "split", shape, graph.numbers("head_shape", 3, HEADS, WIDTH // HEADS), axis=0)
    for number in range(LAYERS):
        rows = encoder_layer(graph, model, number, rows, penalties)
    token_shape = graph.add("Concat", "token_shape", shape, graph.numbers("width", WIDTH), axis=0)
    pool(graph, graph.add("Reshape", "tokens", rows, token_shape), kept)
    return graph.model().SerializeToString(deterministic=True), bytes(graph.weights)
