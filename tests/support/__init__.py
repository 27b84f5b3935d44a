"""What tests share: models that come in pairs, and comparisons that forgive nothing."""
