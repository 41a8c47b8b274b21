"""Scripts that make files for the tests and the examples, or compare methods and tools: run by hand."""
