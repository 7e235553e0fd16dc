"""What several files of tests build: parts as if they had been trained, and PyTorch's own with the same weights."""

import inspect

import torch
from torch import nn


def as_trained(kind, *sizes, seed=0, std=0.4, dtype=torch.float64, **options):
    """A part with weights large enough that every path counts, no norm at 1 and no bias at 0."""
    torch.manual_seed(seed)
    part = kind(*sizes, **options)
    for parameter in part.parameters():
        vector = parameter.ndim == 1
        mean = float(parameter.detach().mean()) if vector else 0.0
        nn.init.normal_(parameter, mean=mean, std=std)
    return part.to(dtype)


def unchecked(module, *arguments, **named):
    """Call forward without the shape checks that the tests add, to reach the package's own."""
    return inspect.unwrap(type(module).forward)(module, *arguments, **named)


def dtype_of(module):
    return next(module.parameters()).dtype


def copy(pairs):
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())


def copy_attention(theirs, ours):
    """Put the heads' maps together, query, key and value above each other, as PyTorch has them."""
    maps = [getattr(head, name) for name in ("query", "key", "value") for head in ours.heads]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([m.weight for m in maps]))
        theirs.in_proj_bias.copy_(torch.cat([m.bias for m in maps]))
    copy([(theirs.out_proj, ours.projection)])


def copy_block(theirs, ours):
    copy_attention(theirs.self_attn, ours.attention)
    copy(
        [
            (theirs.linear1, ours.feed_forward.expand),
            (theirs.linear2, ours.feed_forward.contract),
            (theirs.norm1, ours.attention_norm),
            (theirs.norm2, ours.feed_forward_norm),
        ]
    )


def pytorch_attention(ours):
    """nn.MultiheadAttention with copied weights."""
    C, H = ours.projection.in_features, len(ours.heads)
    theirs = nn.MultiheadAttention(C, H, batch_first=True, dtype=dtype_of(ours))
    copy_attention(theirs, ours)
    return theirs


def empty_layer(block):
    C, H = block.attention_norm.normalized_shape[0], len(block.attention.heads)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": True}
    return nn.TransformerEncoderLayer(C, H, 4 * C, **options, dtype=dtype_of(block))


def pytorch_block(ours):
    """nn.TransformerEncoderLayer(norm_first=True) with copied weights."""
    theirs = empty_layer(ours)
    copy_block(theirs, ours)
    return theirs


def pytorch_stack(blocks, norm=None):
    """nn.TransformerEncoder with the weights of blocks, and of a norm after them."""
    last = nn.LayerNorm(norm.normalized_shape, dtype=dtype_of(norm)) if norm else None
    layer = empty_layer(blocks[0])
    theirs = nn.TransformerEncoder(layer, len(blocks), last, enable_nested_tensor=False)
    for layer, block in zip(theirs.layers, blocks, strict=True):
        copy_block(layer, block)
    if norm:
        copy([(last, norm)])
    return theirs
