import random

import numpy as np
import torch
from torch.nn import functional as F

from tests.exercises.checks import verdict

CHAPTER = "04_batches"


def test_steps():
    def say(answer):
        return verdict(CHAPTER, "check_steps", answer)

    assert say([31, 8, 3, 7]).startswith("Right:")
    assert say(None).startswith("Not yet")
    assert "full batches" in say((32, 8, 3, 4))
    assert "from 0" in say((31, 8, 4, 8))
    assert "first two are right" in say((31, 8, 3, 6))
    assert "1000 =" in say((30, 8, 3, 7))
    assert say(np.array([31, 8, 3, 7])).startswith("Right:")
    assert say(torch.tensor([31, 8, 3, 7])).startswith("Right:")
    assert "four numbers" in say(31) and "four numbers" in say((31, 8))
    assert "four numbers" in say("31 8 3 7")


def test_cut():
    def say(answer):
        return verdict(CHAPTER, "check_cut", answer)

    def right(tokens, starts, T, shift=1):
        places = starts.unsqueeze(1) + torch.arange(T).unsqueeze(0)
        return tokens[places], tokens[places + shift]

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "answer is in the question" in say(lambda *a: right(*a, shift=0))
    assert "one token earlier" in say(lambda *a: (right(*a)[0], right(*a)[0] - 1))
    assert "shifted twice" in say(lambda *a: right(*a, shift=2))
    assert "(3, 6)" in say(lambda row, starts, T: right(row, starts, T + 1))
    assert "begin at the starts" in say(lambda row, starts, T: right(row, starts + 1, T))
    assert "starts[b] + 1" in say(lambda *a: right(*a, shift=4))
    assert "two tensors" in say(lambda row, starts, T: right(row, starts, T + 1)[0])

    def loop(tokens, starts, T):
        windows = torch.stack([tokens[s : s + T + 1] for s in starts.tolist()])
        return windows[:, :-1], windows[:, 1:]

    def loop_over_places(tokens, starts, T):
        inputs = torch.empty(len(starts), T, dtype=torch.long)
        targets, i = inputs.clone(), 0
        while i < len(starts):
            inputs[i] = tokens[starts[i] : starts[i] + T]
            targets[i] = tokens[starts[i] + 1 : starts[i] + T + 1]
            i += 1
        return inputs, targets

    def in_lists(tokens, starts, T):
        row, places = tokens.tolist(), starts.tolist()
        return [[row[s + d : s + d + T] for s in places] for d in (0, 1)]

    def of_arrays(tokens, starts, T):
        row = tokens.numpy()
        windows = np.stack([row[s : s + T + 1] for s in starts.numpy()])
        return windows[:, :-1], windows[:, 1:]

    for each in (loop, loop_over_places, in_lists, of_arrays):
        assert "still loops" in say(each)

    def in_numpy(tokens, starts, T):
        places = starts.numpy()[:, None] + np.arange(T)
        return tokens.numpy()[places], tokens.numpy()[places + 1]

    def once_a_shift(tokens, starts, T):
        return [tokens[starts[:, None] + torch.arange(s, T + s)] for s in (0, 1)]

    def strided(tokens, starts, T):
        every = tokens.as_strided((len(tokens) - T, T + 1), (1, 1))[starts]
        return torch.stack([every[:, :-1], every[:, 1:]])

    assert all(say(each).startswith("Right:") for each in (in_numpy, once_a_shift, strided))
    assert "IndexError" in say(lambda *a: [][0])


def test_loader():
    def say(answer):
        return verdict(CHAPTER, "check_loader", answer)

    def right(step, count, B, seed, epochs=True, seeds=True):
        epoch, part = step // (count // B), step % (count // B)
        g = torch.Generator()
        g.manual_seed((7919 * seed if seeds else 0) + (epoch if epochs else 0))
        return torch.randperm(count, generator=g).split(B)[part]

    def stub(step, count, B, seed):
        torch.manual_seed(seed + step)
        part = step % (count // B)
        return torch.randperm(count)[part * B : (part + 1) * B]

    def touching(step, count, B, seed):
        torch.manual_seed(99 * seed + step // (count // B))
        part = step % (count // B)
        return torch.randperm(count)[part * B : (part + 1) * B]

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "twice in epoch 0" in say(stub)
    assert "global generator" in say(touching)
    assert "nothing is seeded" in say(lambda step, count, B, seed: torch.randperm(count)[:B])
    assert "same order" in say(lambda *a: right(*a, epochs=False))
    assert "seed makes no difference" in say(lambda *a: right(*a, seeds=False))

    def added(step, count, B, seed):
        g = torch.Generator().manual_seed(seed + step // (count // B))
        return torch.randperm(count, generator=g).split(B)[step % (count // B)]

    def subtracted(step, count, B, seed):
        g = torch.Generator().manual_seed(seed - step // (count // B))
        return torch.randperm(count, generator=g).split(B)[step % (count // B)]

    assert "mixes them up" in say(added) and "mixes them up" in say(subtracted)
    assert "B items" in say(lambda *a: right(*a)[:-1])

    def last_batch_too(step, count, B, seed):
        return right(step, count, B, seed) if step % 7 < 6 else torch.arange(2)

    def epoch_by_items(step, count, B, seed):
        g = torch.Generator().manual_seed(99 * seed + step * B // count)
        return torch.randperm(count, generator=g).split(B)[step % (count // B)]

    assert "B items" in say(last_batch_too)
    assert "twice in epoch 1" in say(epoch_by_items)

    def listed(step, count, B, seed):
        epoch, part = divmod(step, count // B)
        return random.Random(f"{seed}-{epoch}").sample(range(count), count)[part * B :][:B]

    def in_numpy(step, count, B, seed):
        epoch, part = divmod(step, count // B)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        return order[part * B : (part + 1) * B]

    assert say(listed).startswith("Right:") and say(in_numpy).startswith("Right:")

    def seeds_random(step, *sizes):
        random.seed(step)
        return listed(step, *sizes)

    def seeds_numpy(step, *sizes):
        np.random.seed(step)
        return in_numpy(step, *sizes)

    assert "one of your own" in say(seeds_random)
    assert "one of your own" in say(seeds_numpy)
    assert "TypeError" in say(lambda step: 0)


def test_buckets():
    def say(answer):
        return verdict(CHAPTER, "check_buckets", answer)

    def right(lengths, B):
        order = sorted(range(len(lengths)), key=lambda i: -int(lengths[i]))
        return [torch.tensor(order[i : i + B]) for i in range(0, len(order), B)]

    assert say(right).startswith("Right:")
    assert say(lambda *a: None).startswith("Not yet")
    assert "numbers of the sentences" in say(
        lambda lengths, B: list(lengths.sort().values.split(B))
    )
    assert "Every number" in say(lambda *a: right(*a)[:-1])
    assert "99 are among" in say(lambda *a: [part + 1 for part in right(*a)])
    assert "B is 8" in say(lambda lengths, B: right(lengths, 10))
    assert "13 are enough" in say(lambda lengths, B: right(lengths, 1))
    assert "alike" in say(lambda lengths, B: list(torch.arange(len(lengths)).split(B)))
    assert "TypeError" in say(lambda lengths: 0)
    assert "one tensor" in say(lambda lengths, B: lengths.argsort())
    assert "one tensor" in say(lambda lengths, B: [])
    assert say(lambda lengths, B: lengths.argsort().tensor_split(13)).startswith("Right:")
    assert say(
        lambda lengths, B: [part.tolist() for part in lengths.argsort().split(B)]
    ).startswith("Right:")
    assert say(lambda lengths, B: np.array_split(np.argsort(lengths), 13)).startswith("Right:")


def test_pad_left():
    def say(answer):
        return verdict(CHAPTER, "check_pad_left", answer)

    def right(rows, padding=0, left=True):
        T = max(map(len, rows))
        tokens, mask = [], []
        for row in rows:
            free = T - len(row)
            more, none = [padding] * free, [False] * free
            real = [True] * len(row)
            tokens.append([*more, *row] if left else [*row, *more])
            mask.append(none + real if left else real + none)
        return torch.tensor(tokens), torch.tensor(mask)

    def turned(rows):
        tokens, mask = right([row[::-1] for row in rows], left=False)
        return tokens.flip(1), mask.flip(1)

    def in_place(rows):
        lengths, T = [*map(len, rows)], max(map(len, rows))
        for row in rows:
            row[:0] = [0] * (T - len(row))
        return rows, [[t >= T - n for t in range(T)] for n in lengths]

    def with_mask(make):
        def answer(rows):
            tokens, mask = right(rows)
            return tokens, make(tokens, mask)

        return answer

    for same in (
        right,
        turned,
        in_place,
        lambda rows: [part.tolist() for part in right(rows)],
        lambda rows: [part.numpy() for part in right(rows)],
        lambda rows: tuple(list(part) for part in right(rows)),
        lambda rows: (part for part in right(rows)),
        lambda rows: (right(rows)[0].int(), right(rows)[1]),
        lambda rows: (right(rows)[0].to(torch.uint8), right(rows)[1]),
    ):
        assert say(same).startswith("Right:")
    for wrong, word in (
        (lambda rows: None, "Not yet"),
        (lambda rows: right(rows)[0], "a pair"),
        (lambda rows: torch.stack([part.long() for part in right(rows)]), "a pair"),
        (lambda rows: dict(zip("tm", right(rows), strict=True)), "a pair"),
        (lambda rows: (*right(rows), 3), "a pair"),
        (lambda rows: right(rows)[::-1], "tokens come first"),
        (lambda rows: right(rows, left=False), "stands behind"),
        (lambda rows: right([row[::-1] for row in rows]), "reverse order"),
        (lambda rows: right(rows, padding=1), "must be 0"),
        (lambda rows: right(rows, padding=-1), "must be 0"),
        (lambda rows: right(sorted(rows, key=len)), "Not these tokens"),
        (lambda rows: (right(rows)[0].roll(-1, 1), right(rows)[1]), "last column"),
        (lambda rows: (right(rows)[0].float(), right(rows)[1]), "whole numbers"),
        (lambda rows: [part.T for part in right(rows)], "not (T, B)"),
        (lambda rows: [part[:, -1:] for part in right(rows)], "must be (3, 4)"),
        (lambda rows: [F.pad(part, (1, 0)) for part in right(rows)], "must be (3, 4)"),
        (lambda rows: right([[5, 0, 7, 8], [6], [0, 9]]), "must be (3, 3)"),
        (with_mask(lambda tokens, mask: ~mask), "inverted"),
        (with_mask(lambda tokens, mask: tokens == 0), "inverted"),
        (with_mask(lambda tokens, mask: tokens != 0), "calls it padding"),
        (with_mask(lambda tokens, mask: (tokens != 0).cumsum(1) > 0), "begin with a 0"),
        (with_mask(lambda tokens, mask: mask.flip(1)), "stands behind"),
        (with_mask(lambda tokens, mask: mask | True), "everything real"),
        (with_mask(lambda tokens, mask: mask.roll(1, 1)), "the mask is not"),
        (with_mask(lambda tokens, mask: mask.long()), "True and False"),
        (with_mask(lambda tokens, mask: mask.float()), "True and False"),
        (lambda rows: (rows, rows), "RuntimeError"),
        (lambda rows: (None, None), "TypeError"),
        (lambda: 0, "TypeError"),
    ):
        said = say(wrong)
        assert word in said and not said.startswith("Right:")
