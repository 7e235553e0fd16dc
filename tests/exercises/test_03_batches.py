import torch

from tests.exercises.checks import verdict

CHAPTER = "03_batches"


def test_steps():
    def say(answer):
        return verdict(CHAPTER, "check_steps", answer)

    assert say([31, 8, 3, 7]).startswith("Right")
    assert say(None).startswith("Not yet")
    assert "full batches" in say((32, 8, 3, 4))
    assert "from 0" in say((31, 8, 4, 8))
    assert "first two are right" in say((31, 8, 3, 6))
    assert "1000 =" in say((30, 8, 3, 7))


def test_cut():
    def say(answer):
        return verdict(CHAPTER, "check_cut", answer)

    def right(tokens, starts, T, shift=1):
        places = starts.unsqueeze(1) + torch.arange(T).unsqueeze(0)
        return tokens[places], tokens[places + shift]

    assert say(right).startswith("Right")
    assert say(lambda *a: None).startswith("Not yet")
    assert "answer is in the question" in say(lambda *a: right(*a, shift=0))
    assert "one token earlier" in say(lambda *a: (right(*a)[0], right(*a)[0] - 1))
    assert "shifted twice" in say(lambda *a: right(*a, shift=2))
    assert "(3, 6)" in say(lambda row, starts, T: right(row, starts, T + 1))
    assert "begin at the starts" in say(lambda row, starts, T: right(row, starts + 1, T))
    assert "starts[b] + 1" in say(lambda *a: right(*a, shift=4))
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

    assert say(right).startswith("Right")
    assert say(lambda *a: None).startswith("Not yet")
    assert "twice in an epoch" in say(stub)
    assert "global generator" in say(touching)
    assert "nothing is seeded" in say(lambda step, count, B, seed: torch.randperm(count)[:B])
    assert "same order" in say(lambda *a: right(*a, epochs=False))
    assert "seed makes no difference" in say(lambda *a: right(*a, seeds=False))

    def added(step, count, B, seed):
        g = torch.Generator().manual_seed(seed + step // (count // B))
        return torch.randperm(count, generator=g).split(B)[step % (count // B)]

    assert "mixes them up" in say(added)
    assert "B items" in say(lambda *a: right(*a)[:-1])
    assert "TypeError" in say(lambda step: 0)


def test_buckets():
    def say(answer):
        return verdict(CHAPTER, "check_buckets", answer)

    def right(lengths, B):
        order = sorted(range(len(lengths)), key=lambda i: -int(lengths[i]))
        return [torch.tensor(order[i : i + B]) for i in range(0, len(order), B)]

    assert say(right).startswith("Right")
    assert say(lambda *a: None).startswith("Not yet")
    assert "numbers of the sentences" in say(
        lambda lengths, B: list(lengths.sort().values.split(B))
    )
    assert "Every number" in say(lambda *a: right(*a)[:-1])
    assert "B is 8" in say(lambda lengths, B: right(lengths, 10))
    assert "13 are enough" in say(lambda lengths, B: right(lengths, 1))
    assert "alike" in say(lambda lengths, B: list(torch.arange(len(lengths)).split(B)))
    assert "TypeError" in say(lambda lengths: 0)
