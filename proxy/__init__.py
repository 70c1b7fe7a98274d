"""The data plane: one worker process, many clients."""

from proxy.compiled import choose

choose()
