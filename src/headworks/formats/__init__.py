"""The wire formats of model APIs: one neutral model, and a lossless codec per format."""
