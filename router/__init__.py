"""From user names to branches to the servers behind them."""
