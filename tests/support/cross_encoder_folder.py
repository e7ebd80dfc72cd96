"""A small cross-encoder for sentence-transformers, made here with random weights: its order is arbitrary."""

from __future__ import annotations

from pathlib import Path

from support.model_folder import find_published_folder


def make_cross_encoder(folder: Path, labels: int = 1, seed: int = 1) -> Path:
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=labels,
        initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_published_folder()).save_pretrained(folder)
    return folder
