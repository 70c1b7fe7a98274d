"""Server programs and the local server processes made from them."""
