"""Vocabulary, pairs and corpus; how they are stored, checked and fetched."""
