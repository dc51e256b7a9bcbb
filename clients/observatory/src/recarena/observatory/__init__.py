"""The observatory: a web page to watch runs, steer them and step into them."""
