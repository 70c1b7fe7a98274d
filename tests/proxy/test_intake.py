import pytest

from proxy.intake import FileEnd
from proxy.wire.framing import frame


@pytest.mark.parametrize("cut", [1, 2, 5, 1 << 20])
def test_a_file_ends_with_an_empty_packet(cut: int) -> None:
    data = frame(b"abc", 2) + frame(b"d" * 300, 3) + frame(b"", 4)
    end, used = FileEnd(), 0
    stream = data + b"next command"
    for start in range(0, len(stream), cut):
        if end.over:
            break
        used += end.feed(stream[start : start + cut])
    assert end.over
    assert used == len(data)
