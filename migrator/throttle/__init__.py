"""When the engine may work, and how hard."""
