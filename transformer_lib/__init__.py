"""The transformer, built step by step: the package is the code of the book."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attention_head import AttentionHead
    from .multi_head_attention import MultiHeadAttention
    from .feed_forward import FeedForward
    from .block import Block
    from .encoder import Encoder
    from .classifier import Classifier
    from .classifier import EncoderClassifier
    from .decoder import Decoder
    from .tokens import train_tokenizer
    from .tokens import load_tokenizer
    from .training import train
    from .sampling import generate
    from .saving import save_model
    from .saving import load_model
    from .seeing_attention import view_attention

__version__ = "0.1.0"
__all__ = [
    "AttentionHead",
    "MultiHeadAttention",
    "FeedForward",
    "Block",
    "Encoder",
    "Classifier",
    "EncoderClassifier",
    "Decoder",
    "train_tokenizer",
    "load_tokenizer",
    "train",
    "generate",
    "save_model",
    "load_model",
    "view_attention",
]
_MODULES = {
    "AttentionHead": "attention_head",
    "MultiHeadAttention": "multi_head_attention",
    "FeedForward": "feed_forward",
    "Block": "block",
    "Encoder": "encoder",
    "Classifier": "classifier",
    "EncoderClassifier": "classifier",
    "Decoder": "decoder",
    "train_tokenizer": "tokens",
    "load_tokenizer": "tokens",
    "train": "training",
    "generate": "sampling",
    "save_model": "saving",
    "load_model": "saving",
    "view_attention": "seeing_attention",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: a module then costs only what it needs itself."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
