"""How good a model is: accuracy of answers, perplexity of text."""
