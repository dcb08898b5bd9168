"""The generator against the known answers that its authors publish with it (Random123, kat_vectors)."""

import pytest
import torch

from featlearn.streams.philox import philox

PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
ONES = (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2
ANSWERS = {
    "zeros": (((0,) * 4, (0,) * 2), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": (ONES, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
}


def words(numbers):
    return tuple(torch.tensor([number]) for number in numbers)


@pytest.mark.parametrize("name", ANSWERS)
def test_known_answers(name):
    (counter, key), answer = ANSWERS[name]
    assert tuple(word.item() for word in philox(words(counter), words(key))) == answer


def test_every_word_of_counter_and_key_matters():
    zero = philox(words((0,) * 4), words((0,) * 2))
    for place in range(6):
        numbers = [int(i == place) for i in range(6)]
        other = philox(words(numbers[:4]), words(numbers[4:]))
        assert all((a ^ b).item().bit_count() > 3 for a, b in zip(zero, other, strict=True)), place


def test_a_tensor_is_its_entries():
    counter = tuple(torch.randint(0, 2**32, (7, 5), generator=torch.Generator().manual_seed(i)) for i in range(4))
    key = torch.arange(7)[:, None], torch.tensor(2**32 - 1)
    whole = philox(counter, key)
    for i, j in ((0, 0), (3, 4), (6, 1)):
        one = philox(tuple(word[i, j] for word in counter), (key[0][i, 0], key[1]))
        assert all(torch.equal(a[i, j], b) for a, b in zip(whole, one, strict=True))
