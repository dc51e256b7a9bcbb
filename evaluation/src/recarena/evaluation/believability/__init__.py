"""The believability card: how like people a mind chooses and rates, on held-out ratings."""
