"""The data plane: one worker process, many clients."""
