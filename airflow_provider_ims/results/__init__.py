"""What came of a reset, document by document, for people and for software."""
