"""I am a histogram of durations: log-linear buckets of at most 6.25 % relative width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_SUB_BITS = 4
_EXACT_BELOW = 2 << _SUB_BITS


def bucket_of(microseconds: int) -> int:
    """Return which bucket a duration belongs to; short ones have a bucket each."""
    if microseconds < _EXACT_BELOW:
        return max(microseconds, 0)
    shift = microseconds.bit_length() - _SUB_BITS - 1
    return (shift << _SUB_BITS) + (microseconds >> shift)


def upper_bound_us(bucket: int) -> int:
    """Return the longest duration that belongs to a bucket, in microseconds."""
    if bucket < _EXACT_BELOW:
        return bucket
    shift = (bucket >> _SUB_BITS) - 1
    return (((bucket - (shift << _SUB_BITS)) + 1) << shift) - 1


def merge(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Add histograms up, bucket by bucket."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def percentile(histogram: Mapping[int, int], share: float) -> int:
    """Return the duration in microseconds that `share` (0 to 1) of all are not longer than; 0 when empty."""
    count = sum(histogram.values())
    wanted, seen = share * count, 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return upper_bound_us(bucket)
    return 0
