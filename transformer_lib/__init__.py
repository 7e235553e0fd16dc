"""The transformer, built step by step: the package is the code of the book."""

from .attention_head import AttentionHead
from .multi_head_attention import MultiHeadAttention
from .feed_forward import FeedForward
from .block import Block
from .encoder import Encoder
from .classifier import Classifier, EncoderClassifier
from .decoder import Decoder

__all__ = ["AttentionHead", "MultiHeadAttention", "FeedForward", "Block", "Encoder", "Classifier", "EncoderClassifier", "Decoder"]
