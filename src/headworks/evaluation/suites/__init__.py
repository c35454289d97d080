"""What judges a feature, as its files say."""
