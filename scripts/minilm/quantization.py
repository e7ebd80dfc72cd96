"""The published weights of all-MiniLM-L6-v2 as integers, by arithmetic that every processor rounds alike.

Only single sums, products, quotients and square roots of IEEE 754 are taken, and long sums by `math.fsum`,
which is exact: matrix products of a BLAS differ in their last digit from one processor to the next, and a
rounding that falls the other way would make another file.

- **Weights**: each output channel has a scale of its own. Seven bits, -63 to 63: the sum of two products with
  bytes up to 255 then fits in 16 bits, which is what AVX2 adds in (it would cut larger sums off, and AVX-512
  VNNI would not: the vectors would depend on the processor).
- **Smoothing** (Xiao et al. 2023, arXiv:2211.10438): a channel of the input with large values is divided by a
  factor, and the weights that read it are multiplied by it. The factor is the square root of the channel's
  size over that of its largest weight.
- **Correction of the bias** (Nagel et al. 2019, arXiv:1906.04721, section 4.2): what rounding the weights
  adds to the output for a mean input is taken away from the bias.
- After GELU, whose values are at least -0.17, the input is raised by that and all 255 levels lie above zero.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LAYERS, WIDTH, INNER, HEADS = 6, 384, 1536, 12
MAX_WEIGHT, MAX_WORD = 63, 127
GELU_FLOOR = 0.17  # GELU is never below -0.16998
MAX_TOKENS = 256
MIN_SIZE = 1e-6
INPUTS = {"attention": WIDTH, "output": WIDTH, "wide": WIDTH, "narrow": INNER}
"""The dense steps of a layer, and how many channels each reads."""
Floats = np.ndarray


@dataclass(frozen=True)
class QuantizedDense:
    """A dense step: ``bytes @ (weight * scale).T + bias``, where bytes stand for ``(input + offset) *
    input_scale``."""

    weight: np.ndarray  # int8, (outputs, inputs)
    scale: Floats  # (outputs,)
    bias: Floats  # (outputs,)
    input_scale: Floats | None  # (inputs,); None if the weights before have it already
    offset: float

    @property
    def levels(self) -> int:
        """Steps between zero and the largest value of a token."""
        return 255 if self.offset else 127


@dataclass(frozen=True)
class QuantizedModel:
    """All that the graph needs: integer words and layers, and the small tensors that stay floats."""

    words: np.ndarray  # int8, (vocabulary, 384)
    word_scale: Floats  # (vocabulary, 1)
    places: Floats  # (256, 384): position and token type
    layers: list[dict[str, QuantizedDense]]
    floats: dict[str, Floats]


@dataclass(frozen=True)
class Statistics:
    """Root mean square and mean of each channel that a dense step reads, over the calibration texts."""

    size: Floats
    mean: Floats


def read_weights(path: Path) -> dict[str, Floats]:
    """Read a safetensors file of 32-bit floats (https://github.com/huggingface/safetensors)."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    weights: dict[str, Floats] = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            count, start = math.prod(entry["shape"]), 8 + length + entry["data_offsets"][0]
            weights[name] = np.frombuffer(raw, "<f4", count, start).reshape(entry["shape"])
    return weights


def read_statistics(path: Path) -> list[dict[str, Statistics]]:
    """Read what `calibrate.py` has written: for each layer, the statistics of each dense step's input."""
    size, mean = np.load(path, allow_pickle=False).astype(np.float64)
    layers: list[dict[str, Statistics]] = []
    for layer_size, layer_mean in zip(size, mean, strict=True):
        ends = np.cumsum(list(INPUTS.values()))[:-1]
        parts = zip(INPUTS, np.split(layer_size, ends), np.split(layer_mean, ends), strict=True)
        layers.append({name: Statistics(one_size, one_mean) for name, one_size, one_mean in parts})
    return layers


def quantize_model(weights: dict[str, Floats], statistics: list[dict[str, Statistics]]) -> QuantizedModel:
    words, word_scale = quantize_rows(weights["embeddings.word_embeddings.weight"], MAX_WORD)
    token_type = weights["embeddings.token_type_embeddings.weight"][0]
    return QuantizedModel(
        words=words,
        word_scale=word_scale[:, None],
        places=weights["embeddings.position_embeddings.weight"][:MAX_TOKENS] + token_type,
        layers=[quantize_layer(weights, number, statistics[number]) for number in range(LAYERS)],
        floats={name: values for name, values in weights.items() if "LayerNorm" in name},
    )


def quantize_layer(
    weights: dict[str, Floats], number: int, statistics: dict[str, Statistics]
) -> dict[str, QuantizedDense]:
    def read(part: str) -> tuple[Floats, Floats]:
        prefix = f"encoder.layer.{number}.{part}"
        return weights[f"{prefix}.weight"], weights[f"{prefix}.bias"]

    (query, query_bias), (key, key_bias), (value, value_bias) = (
        read(f"attention.self.{part}") for part in ("query", "key", "value")
    )
    output, output_bias = read("attention.output.dense")
    # Attention only mixes values, so their factors can stand in the weights that make them.
    factors = find_factors(output, statistics["output"].size)
    value, value_bias, output = value / factors[:, None], value_bias / factors, output * factors
    scale = np.float32(1 / math.sqrt(WIDTH // HEADS))
    joined = np.concatenate([query * scale, key, value])
    joined_bias = np.concatenate([query_bias * scale, key_bias, value_bias])
    return {
        "attention": smooth_and_quantize(joined, joined_bias, statistics["attention"]),
        "output": quantize_dense(output, output_bias, statistics["output"].mean / factors),
        "wide": smooth_and_quantize(*read("intermediate.dense"), statistics["wide"]),
        "narrow": smooth_and_quantize(*read("output.dense"), statistics["narrow"], GELU_FLOOR),
    }


def find_factors(weight: Floats, size: Floats) -> Floats:
    """The factor by which each channel of an input is divided."""
    largest = np.abs(weight).max(axis=0).astype(np.float64)
    return np.sqrt(np.maximum(size, MIN_SIZE) / np.maximum(largest, MIN_SIZE)).astype(np.float32)


def smooth_and_quantize(
    weight: Floats, bias: Floats, statistics: Statistics, offset: float = 0.0
) -> QuantizedDense:
    factors = find_factors(weight, statistics.size)
    return quantize_dense(weight * factors, bias, statistics.mean / factors, 1 / factors, offset)


def quantize_dense(
    weight: Floats, bias: Floats, mean: Floats, input_scale: Floats | None = None, offset: float = 0.0
) -> QuantizedDense:
    """Quantise a dense step, whose weights and mean input are smoothed already."""
    rounded, scale = quantize_rows(weight, MAX_WEIGHT)
    stored = rounded.astype(np.float64) * scale[:, None].astype(np.float64)
    raised = np.float64(offset) * (1.0 if input_scale is None else input_scale.astype(np.float64))
    changes = (weight - stored) * mean - stored * raised
    corrected = [b + math.fsum(row) for b, row in zip(bias.tolist(), changes.tolist(), strict=True)]
    return QuantizedDense(rounded, scale, np.array(corrected, np.float32), input_scale, offset)


def quantize_rows(values: Floats, largest: int) -> tuple[np.ndarray, Floats]:
    """Round each row to integers from ``-largest`` to ``largest``; returns them and the scale of each row."""
    scale = (np.abs(values).max(axis=1) / np.float32(largest)).astype(np.float32)
    scale[scale == 0] = 1
    return np.clip(np.rint(values / scale[:, None]), -largest, largest).astype(np.int8), scale
