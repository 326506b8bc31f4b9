"""The hashes and the logarithm that CRUSH draws with, in 32-bit unsigned arithmetic.

Everything in Ceph that places data rests on these few functions, so they are equal to the last
bit. Sources: Robert Jenkins, "Hash functions" (1997); Ceph's description of rjenkins1 and of the
fixed-point logarithm of straw2, whose second table is not what its formula says: most entries
carry an offset and some are irregular, so those are listed here.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from math import floor

import numpy as np
from numpy.typing import NDArray

MASK = 0xFFFFFFFF
SEED = 1315423911
X, Y = 231232, 1232
GOLDEN = 0x9E3779B9

DRAWS = 2**16  # values of a draw
ONE = 2**48  # the fixed point of the logarithm
LH_LAST = 281470681743360
LL_OFFSET = 5493489664
LL_PLAIN = frozenset(
    (0, 1, 203, 216, 222, 233, 237, 238, 239, 243, 244, 245, 246, 248, 249, 250, 251, 252, 253,
     254, 255)
)  # fmt: skip
LL_IRREGULAR = {
    56: 698745828440, 127: 1571803503037, 134: 1660818502744, 181: 2240906420754,
    184: 2279293793368, 188: 2325363271567, 193: 2388595809102, 198: 2448873426596,
    199: 2461350658139, 200: 2474805633567, 207: 2562256555365, 210: 2598789611611,
    212: 2622451169410, 225: 2782027272789, 227: 2804948041819, 228: 2818403017247,
    229: 2828609599618, 231: 2856197520043, 235: 2906742873441, 236: 2919466226261,
    240: 2966048553090, 241: 2979904280591, 247: 3049869184844,
}  # fmt: skip

_SHIFTS = ((13, 8, 13), (12, 16, 5), (3, 10, 15))
Words = NDArray[np.uint32]


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for right, left, last in _SHIFTS:
        a = ((a - b - c) & MASK) ^ (c >> right)
        b = ((b - c - a) & MASK) ^ ((a << left) & MASK)
        c = ((c - a - b) & MASK) ^ (b >> last)
    return a, b, c


def hash2(a: int, b: int) -> int:
    """Of two numbers; negative ones enter as two's complement."""
    a, b = a & MASK, b & MASK
    h = SEED ^ a ^ b
    a, b, h = _mix(a, b, h)
    x, a, h = _mix(X, a, h)
    b, _, h = _mix(b, Y, h)
    return h


def hash3(a: int, b: int, c: int) -> int:
    """Of three numbers."""
    a, b, c = a & MASK, b & MASK, c & MASK
    h = SEED ^ a ^ b ^ c
    a, b, h = _mix(a, b, h)
    c, x, h = _mix(c, X, h)
    y, a, h = _mix(Y, a, h)
    b, x, h = _mix(b, x, h)
    y, c, h = _mix(y, c, h)
    return h


def hash4(a: int, b: int, c: int, d: int) -> int:
    """Of four numbers."""
    a, b, c, d = a & MASK, b & MASK, c & MASK, d & MASK
    h = SEED ^ a ^ b ^ c ^ d
    a, b, h = _mix(a, b, h)
    c, d, h = _mix(c, d, h)
    a, x, h = _mix(a, X, h)
    y, b, h = _mix(Y, b, h)
    c, x, h = _mix(c, x, h)
    y, d, h = _mix(y, d, h)
    return h


def hash3_each(a: int, many: Words, c: int) -> Words:
    """`hash3(a, b, c)` for each b of an array."""
    b, first, third = many.copy(), np.uint32(a & MASK), np.uint32(c & MASK)
    size = many.shape
    a_, c_ = np.full(size, first), np.full(size, third)
    x, y = np.full(size, np.uint32(X)), np.full(size, np.uint32(Y))
    h = np.uint32(SEED) ^ a_ ^ b ^ c_
    a_, b, h = _mix_each(a_, b, h)
    c_, x, h = _mix_each(c_, x, h)
    y, a_, h = _mix_each(y, a_, h)
    b, x, h = _mix_each(b, x, h)
    y, c_, h = _mix_each(y, c_, h)
    return h


def _mix_each(a: Words, b: Words, c: Words) -> tuple[Words, Words, Words]:
    for right, left, last in _SHIFTS:
        a = (a - b - c) ^ (c >> np.uint32(right))
        b = (b - c - a) ^ (a << np.uint32(left))
        c = (c - a - b) ^ (b >> np.uint32(last))
    return a, b, c


def hash_name(text: bytes) -> int:
    """Of an object's name: rjenkins over blocks of 12 bytes."""
    a, b, c = GOLDEN, GOLDEN, 0
    whole = len(text) - len(text) % 12
    for at in range(0, whole, 12):
        words = (int.from_bytes(text[i : i + 4], "little") for i in (at, at + 4, at + 8))
        first, second, third = words
        a, b, c = _mix((a + first) & MASK, (b + second) & MASK, (c + third) & MASK)
    tail = text[whole:]
    a += int.from_bytes(tail[:4], "little")
    b += int.from_bytes(tail[4:8], "little")
    c += len(text) + (int.from_bytes(tail[8:], "little") << 8)
    return _mix(a & MASK, b & MASK, c & MASK)[2]


def log2(u: int) -> int:
    """2^44 log2(u + 1) as CRUSH approximates it, for u below 2^16."""
    high, reciprocal, low = _tables()
    x, exponent = u + 1, 15
    while not x & 0x18000:
        x <<= 1
        exponent -= 1
    step = (x >> 8) - 128
    fine = (x * reciprocal[step] >> 48) & 0xFF
    return (exponent << 44) + ((high[step] + low[fine]) >> 4)


@cache
def lengths() -> tuple[int, ...]:
    """2^48 - log2(u) for every draw u: what a weight divides, the smallest of which wins."""
    return tuple(ONE - log2(u) for u in range(DRAWS))


@cache
def lengths_array() -> NDArray[np.int64]:
    """The same as an array."""
    return np.array(lengths(), dtype=np.int64)


@cache
def _tables() -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The coarse logarithms, the reciprocals and the fine logarithms."""
    with localcontext() as context:
        context.prec = 40
        two = Decimal(2).ln()

        def fixed(ratio: Decimal) -> int:
            return floor(ONE * ratio.ln() / two)

        high = [fixed(Decimal(128 + k) / 128) for k in range(128)]
        low = [fixed(1 + Decimal(k) / 2**15) for k in range(256)]
    fine = [
        LL_IRREGULAR.get(k, value if k in LL_PLAIN else value + LL_OFFSET)
        for k, value in enumerate(low)
    ]
    reciprocal = tuple(-(-ONE * 128 // (128 + k)) for k in range(129))
    return (*high, LH_LAST), reciprocal, tuple(fine)
