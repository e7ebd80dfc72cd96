"""The operators of multilingual-e5-small, as an ONNX graph without any weights.

    python scripts/multilingual/encoder.py [OUTPUT]

writes `graph.onnx`, which the package ships; the same bytes on every machine, for only the architecture is in
it: BERT (Devlin et al. 2019, arXiv:1810.04805) with twelve layers of width 384, then the mean over a text's
tokens, scaled to length one (Wang et al. 2024, "Multilingual E5 Text Embeddings", arXiv:2402.05672). The
weights, whose names and shapes stand in the graph, are handed over when it is loaded, see
`sediment_mcp/embeddings/packed_weights.py`. They stay in the four bits that they are published in: the dense
steps are onnxruntime's MatMulNBits, which quantises its input to eight bits for each block of 32 values. A
changed file has another SHA-256: put it into `FILES` in `sediment_mcp/embeddings/multilingual.py`.

What both models have in common is in scripts/minilm/graph.py. Needs the package `onnx`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "minilm"))

from graph import IR_VERSION, LAYER_NORM_EPSILON, OPSET, Graph, attention, mask, pool  # noqa: E402

from sediment_mcp.embeddings.packed_weights import (  # noqa: E402
    BLOCK,
    HEADS,
    INNER,
    LAYERS,
    MAX_TOKENS,
    WIDTH,
)

OUTPUT = ROOT / "sediment_mcp" / "embeddings" / "multilingual-e5-small" / "graph.onnx"
LOCATION = "weights"
"""Where the weights are said to be; nothing is read there."""
CONTRIBUTED = "com.microsoft"
EIGHT_BITS = 4  # the number by which MatMulNBits is told to compute with integers of eight bits


class Encoder(Graph):
    """A graph whose weights are declared, not held."""

    def weights_of(self, name: str, shape: tuple[int, ...], kind: int = TensorProto.FLOAT) -> str:
        """Declare a tensor that is handed over when the graph is loaded."""
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=LOCATION)
        self._initializers[name] = tensor
        return name

    def dense(self, name: str, source: str, inputs: int, outputs: int) -> str:
        """``source @ weight.T + bias`` over rows."""
        blocks = inputs // BLOCK
        product = self.add(
            "MatMulNBits",
            f"{name}.product",
            source,
            self.weights_of(f"{name}.weight", (outputs, blocks, BLOCK // 2), TensorProto.UINT8),
            self.weights_of(f"{name}.scale", (outputs * blocks,)),
            domain=CONTRIBUTED,
            K=inputs,
            N=outputs,
            bits=4,
            block_size=BLOCK,
            accuracy_level=EIGHT_BITS,
        )
        return self.add("Add", f"{name}.rows", product, self.weights_of(f"{name}.bias", (outputs,)))

    def norm(self, name: str, source: str) -> str:
        scale, bias = (self.weights_of(f"{name}.{part}", (WIDTH,)) for part in ("weight", "bias"))
        return self.add("LayerNormalization", f"{name}.rows", source, scale, bias, epsilon=LAYER_NORM_EPSILON)

    def model(self) -> onnx.ModelProto:
        """Vectors of words (texts, tokens, 384) and mask to vectors (texts, 384) and (texts, tokens, 384)."""
        values = [
            helper.make_tensor_value_info(name, kind, ["texts", *axes])
            for name, kind, axes in (
                ("words", TensorProto.FLOAT, ["tokens", WIDTH]),
                ("attention_mask", TensorProto.INT64, ["tokens"]),
                ("embedding", TensorProto.FLOAT, [WIDTH]),
                ("tokens", TensorProto.FLOAT, ["tokens", WIDTH]),
            )
        ]
        graph = helper.make_graph(
            self._nodes, "multilingual-e5-small", values[:2], values[2:], list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sediment-mcp"
        )


def layer(graph: Encoder, name: str, rows: str, penalties: str) -> str:
    """Attention, then two dense steps, each followed by a residual sum and a normalisation."""
    joined = graph.dense(f"{name}.attention", rows, WIDTH, 3 * WIDTH)
    mixed = attention(graph, name, joined, penalties)
    attended = graph.dense(f"{name}.output", mixed, WIDTH, WIDTH)
    middle = graph.norm(f"{name}.attention.norm", graph.add("Add", f"{name}.attention.sum", attended, rows))
    bent = graph.add("Gelu", f"{name}.bent", graph.dense(f"{name}.wide", middle, WIDTH, INNER))
    narrow = graph.dense(f"{name}.narrow", bent, INNER, WIDTH)
    return graph.norm(f"{name}.norm", graph.add("Add", f"{name}.sum", narrow, middle))


def build_graph() -> bytes:
    """The whole graph as the bytes of an ONNX file."""
    graph = Encoder()
    kept, penalties = mask(graph)
    zero = graph.numbers("first", 0)
    length = graph.add("Shape", "length", "attention_mask", start=1)
    places = graph.weights_of("places", (MAX_TOKENS, WIDTH))
    placed = graph.add("Add", "placed", "words", graph.add("Slice", "positions", places, zero, length, zero))
    normal = graph.norm("embeddings.norm", placed)
    rows = graph.add("Reshape", "rows", normal, graph.numbers("as_rows", -1, WIDTH))
    shape = graph.add("Shape", "shape", "attention_mask")
    graph.add("Concat", "split", shape, graph.numbers("head_shape", 3, HEADS, WIDTH // HEADS), axis=0)
    for number in range(LAYERS):
        rows = layer(graph, f"layer.{number}", rows, penalties)
    token_shape = graph.add("Concat", "token_shape", shape, graph.numbers("width", WIDTH), axis=0)
    pool(graph, graph.add("Reshape", "tokens", rows, token_shape), kept)
    return graph.model().SerializeToString(deterministic=True)


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    content = build_graph()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(content)
    print(f"{hashlib.sha256(content).hexdigest()}  {output.name}, {len(content):,} bytes")
